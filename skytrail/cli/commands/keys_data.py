"""`skytrail keys data`: the keys that encrypt the archive: list them, wrap them anew, destroy them lawfully."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.commands.keys import group
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.data_keys import data_keys
from skytrail.recording import recorded
from skytrail.retaining import open_retaining
from skytrail.settings import Settings
from storage.datakeys.keys import DataKeys
from storage.ledger.key_history import shredded_keys
from storage.retention.shredding import Opens, enter_shred

COLUMNS = ("namespace", "id", "made", "provider", "kek")
_APPROVERS = 2


def register(_: typer.Typer) -> None:
    """Add the commands to the group `keys`."""
    data = typer.Typer(help="The keys that encrypt the archive.", no_args_is_help=True)
    data.command("list")(data_list)
    data.command("rotate")(data_rotate)
    data.command("shred")(data_shred)
    group.add_typer(data, name="data")


def data_list(context: typer.Context, output: OutputOption = None) -> None:
    """List the data keys of the key table: whose, of which month, wrapped by which key. Opens none of them.

    Examples:  skytrail keys data list   |   skytrail keys data list -o json
    """
    keys = _keys(context_of(context).settings)
    if not emit_rows(_rows(keys), output, columns=COLUMNS):
        say("There is no data key yet: the seal role makes the first one with the first encrypted segment")


@recorded("keys.data.rotate", "change")
def data_rotate(
    context: typer.Context,
    new: Annotated[
        bool, typer.Option(help="Make a new wrapping key first, where the provider is `file`; else use what is set.")
    ] = True,
) -> None:
    """Wrap every data key anew, with a new wrapping key (`file`) or the newest version of the key in the settings.

    The archive stays as it is: data keys do not change, only their wrapping. Running workers need no restart. Also the
    way from one provider to another: change archive.encryption.provider, then rotate. Stopped half way: run it again.

    Examples:  skytrail keys data rotate   |   skytrail keys data rotate --no-new
    """
    keys = _keys(context_of(context).settings)
    if keys.current is None:
        mend = "set it to one of the others (docs/settings.md)"
        raise ConfigError("wrapping data keys: archive.encryption.provider is none", mend=mend)
    made = keys.current.renew() if new else None
    before = list(keys.entries())
    count = sum(keys.rewrap(entry) for entry in before)
    say(f"Wrapped {count:,} of {len(before):,} data keys anew with {keys.current.name} {keys.current.current()}")
    if made is not None:
        say(f"Next: back {made} up apart from the archive and the key table; on several machines copy it to each")
    unused = {entry.kek for entry in before} - {entry.kek for entry in keys.entries()}
    if unused:
        say(f"No longer needed, but by backups of the key table: {', '.join(sorted(unused))}")


@recorded("keys.data.shred", "deletion", target="namespace", details=("key", "request", "basis", "approver", "yes"))
def data_shred(
    context: typer.Context,
    key: Annotated[list[str], typer.Argument(metavar="ID…", help="Ids of data keys, as `keys data list` shows them.")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Whose.")],
    request: Annotated[str, typer.Option(help="Reference of what asks for it; no personal data: it stays for ever.")],
    basis: Annotated[str, typer.Option(help="The rule by which it is done, for example 'GDPR art. 17(1)(e)'.")],
    approver: Annotated[list[str], typer.Option(help="Who approved it; two different people, so give it twice.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, it is only said what would be done.")] = False,
) -> None:
    r"""Destroy data keys: nobody can read again what a namespace received in those months.

    Refused under a legal hold, and while a regime of the adopted policy asks to keep something that a key opens.
    First a `shred` entry is made in the ledger and published, then the keys are deleted from the key table; stopped
    between the two, run it again. `verify` then says ERASED, and still checks bytes, tree and ledger. Backups of the
    key table, Elasticsearch and Kafka are yours to clear: docs/runbook.md. The names are recorded, not proven.

    Examples:  skytrail keys data shred 2024-11-1a2b3c4d -n acme --request DPO-17 --basis 'GDPR art. 17(1)(e)' \
               --approver 'A. Ames' --approver 'B. Bode' --yes
    """
    settings = context_of(context).settings
    keys = _keys(settings)
    if len({name.strip().casefold() for name in approver}) < _APPROVERS:
        raise ConfigError("destroying data keys: two different people must approve it", mend="give --approver twice")
    now = dt.datetime.now(dt.UTC)
    retaining = open_retaining(settings, lambda: now, allow_delete=True)
    record = retaining.record(namespace)
    done = shredded_keys(retaining.store, record.log.identity.prefix)
    for each in key:
        keys.refuse_in_use(namespace, each)
        if each not in done and keys.table.get(namespace, each) is None:
            mend = "`skytrail keys data list` shows ids and namespaces"
            raise ConfigError(f"destroying data keys: {namespace} has no {each}", mend=mend)
    if not yes:
        say(f"Would destroy {len(key):,} data keys of {namespace}; nothing was done. Next: the same with --yes")
        return
    opens = Opens(list(retaining.chains(namespace)))
    enter_shred(retaining.store, record, key, now, opens=opens, request=request, basis=basis, approvers=approver)
    for each in key:
        keys.destroy(namespace, each)
    say(f"Destroyed {len(key):,} data keys of {namespace}; the ledger says so")
    say("Next: erase them from every backup of the key table, and the documents: docs/runbook.md#data-has-to-be-erased")


def _rows(keys: DataKeys) -> Iterator[dict[str, Any]]:
    for entry in keys.entries():
        yield {name: getattr(entry, name) for name in COLUMNS}


def _keys(settings: Settings) -> DataKeys:
    keys = data_keys(settings)
    if keys is None:
        raise ConfigError(
            "opening the data keys: this archive is not encrypted", mend="set archive.encryption.provider"
        )
    return keys
