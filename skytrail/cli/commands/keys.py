"""`skytrail keys`: the keys that sign the ledger: make the first ones, rotate them, list their public sides."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.recording import recorded
from skytrail.settings import Settings
from storage.archive.manifest import instant
from storage.archive.opening import open_archive
from storage.archive.store import is_key_part
from storage.ledger.key_history import KeyUse, key_history
from storage.ledger.keyring import ALGORITHMS, KeyPair, KeyRing
from storage.ledger.log import LogIdentity
from storage.ledger.notary import ready_keys

COLUMNS = ("origin", "algorithm", "vkey", "not_before", "not_after", "first_size", "last_size")

NamespaceOption = Annotated[
    list[str] | None,
    typer.Option("--namespace", "-n", help="Of this namespace, too, if it has no ledger yet. Repeatable."),
]
DaysOption = Annotated[
    int | None, typer.Option(min=1, max=36_500, help="Days for which they sign. Default: ledger.key_days.")
]


group = typer.Typer(help="The keys that sign the ledger and encrypt the archive.", no_args_is_help=True)
"""The group `keys`; other files of this package add their verbs to it."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group.command("init")(keys_init)
    group.command("rotate")(keys_rotate)
    group.command("list")(keys_list)
    app.add_typer(group, name="keys")


@recorded("keys.init", "change", target="namespace", details=("days",))
def keys_init(
    context: typer.Context, days: DaysOption = None, namespace: NamespaceOption = None, output: OutputOption = None
) -> None:
    """Make the first pair of keys and print their verifier keys; keys that are there are kept.

    The first seal worker does the same where there is no ledger yet. Each private key is a file of mode 0600 beside
    ledger.keys_file: back them up where those who can write to the archive can't reach them.

    Examples:  skytrail keys init   |   skytrail keys init --namespace acme -o json   |   skytrail keys init --days 90
    """
    settings, now = context_of(context).settings, dt.datetime.now(dt.UTC)
    keys = KeyRing(settings.keys_file)
    made = ready_keys(open_archive(settings.archive, settings.archive_dir), keys, now, days or settings.ledger.key_days)
    _print(settings, keys, now, namespace or [], output)
    pair = keys.pairs()[-1]
    say(f"{'Made' if made else 'Kept: there is already'} the pair {pair.id} in {keys.path.parent}")
    say("Next: back that directory up, and give the verifier keys (skytrail keys list) to whoever is to verify")


@recorded("keys.rotate", "change", target="namespace", details=("days", "effective_in"))
def keys_rotate(
    context: typer.Context,
    days: DaysOption = None,
    effective_in: Annotated[
        int,
        typer.Option(min=0, max=527_040, help="Minutes until the new pair signs: time to copy it to other machines."),
    ] = 0,
    namespace: NamespaceOption = None,
    output: OutputOption = None,
) -> None:
    """Make a new pair of keys; from its time on every log gets a `keychange` entry signed by the old and the new one.

    Running seal workers take it over by themselves within seconds. The old pair is kept: what it signed stays valid.

    Examples:  skytrail keys rotate   |   skytrail keys rotate --effective-in 60   |   skytrail keys rotate --days 90
    """
    settings, now = context_of(context).settings, dt.datetime.now(dt.UTC)
    keys = KeyRing(settings.keys_file)
    begin = now + dt.timedelta(minutes=effective_in)
    last = keys.pairs()[-1]
    if not last.not_before <= instant(begin) < last.not_after:
        raise ConfigError(
            f"rotating keys: the pair {last.id} signs from {last.not_before} to {last.not_after}, and would not sign "
            "when the new one takes over",
            where=str(keys.path),
            mend="choose another --effective-in; if it has expired: docs/runbook.md#a-signing-key-is-lost-or-leaked",
        )
    pair = keys.add(now, not_before=begin, days=days or settings.ledger.key_days)
    _print(settings, keys, now, namespace or [], output)
    say(f"Made the pair {pair.id} in {keys.path.parent}; it signs from {pair.not_before} on")
    say("Next: back it up, copy it to every machine with a seal worker, tell witnesses and verifiers its verifier keys")


def keys_list(context: typer.Context, namespace: NamespaceOption = None, output: OutputOption = None) -> None:
    """List the verifier keys of every log, and from which size of the log to which each signs.

    Keys are read from ledger.keys_file, sizes from the log. `first_size` is empty until a key has signed.

    Examples:  skytrail keys list   |   skytrail keys list -o json   |   skytrail keys list --namespace acme
    """
    settings, now = context_of(context).settings, dt.datetime.now(dt.UTC)
    _print(settings, KeyRing(settings.keys_file), now, namespace or [], output)


def _print(settings: Settings, keys: KeyRing, now: dt.datetime, asked: list[str], output: OutputOption) -> None:
    pairs = keys.pairs()
    if not emit_rows(_rows(settings, pairs, now, asked), output, columns=COLUMNS):
        say("There is no ledger yet: --namespace NAME prints the verifier keys that its ledger will have")


def _rows(settings: Settings, pairs: list[KeyPair], now: dt.datetime, asked: list[str]) -> Iterator[dict[str, Any]]:
    """The keys per log: those that it named, and those that may sign it later."""
    store = open_archive(settings.archive, settings.archive_dir)
    own = settings.ledger
    namespaces = {*store.folders(""), *asked, *(each.namespace for each in settings.collectors.values())}
    for namespace in sorted(namespaces):
        if not is_key_part(namespace):
            raise ConfigError(f"listing keys: {namespace!r} can't be a namespace", mend="use letters, digits, . _ -")
        epochs = {int(name) for name in store.folders(f"{namespace}/log/") if name.isdecimal()}
        for epoch in sorted(epochs | {own.epoch}):
            log = LogIdentity(own.organisation, epoch, namespace)
            to_come = now if epoch == own.epoch else None
            yield from _rows_of(log, key_history(store, log.prefix), pairs, to_come)


def _rows_of(
    log: LogIdentity, history: dict[str, KeyUse], pairs: list[KeyPair], to_come: dt.datetime | None
) -> Iterator[dict[str, Any]]:
    """The keys of one log; with `to_come` also those that do not sign it yet and are still valid then."""
    for pair in pairs:
        for algorithm, key in zip(ALGORITHMS, pair.verifier_keys(log.origin), strict=True):
            use = history.get(str(key))
            if use is None and (to_come is None or instant(to_come) >= pair.not_after):
                continue
            yield {
                "origin": log.origin,
                "algorithm": algorithm,
                "vkey": str(key),
                "not_before": pair.not_before,
                "not_after": pair.not_after,
                "first_size": use and use.first_size,
                "last_size": use and use.last_size,
            }
