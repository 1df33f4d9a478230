"""`skytrail pseudonyms`: the keys of pseudonyms, tokens to search by, and who stands behind one if enough agree."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from ingest.pseudonyms.key_file import add_key, open_where_possible, place_of
from ingest.pseudonyms.pseudonyms import Pseudonyms
from ingest.schema.errors import ConfigError
from skytrail.cli.approving import KeyFileOption, signing
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, emit_object, emit_rows, say
from skytrail.recording import recorded
from skytrail.retaining import open_retaining
from skytrail.settings import Settings
from storage.archive.manifest import instant
from storage.retention.approval import Request, ask
from storage.retention.policy import Policy
from storage.retention.revealing import check_reveal, needed_of, subject_of_tokens

NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Whose logs.")]
TokenArgument = Annotated[list[str], typer.Argument(metavar="TOKEN…", help="As documents and alerts have them.")]
COLUMNS = ("token", "kind", "value", "because")
_UNTOLD = "of another key or namespace, or it can't be turned back: the record in the archive tells it"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Tokens in the place of people: keys, searching, revealing.", no_args_is_help=True)
    group.command("key")(pseudonyms_key)
    group.command("rotate")(pseudonyms_rotate)
    group.command("token")(pseudonyms_token)
    group.command("subject")(pseudonyms_subject)
    group.command("request")(pseudonyms_request)
    group.command("reveal")(pseudonyms_reveal)
    app.add_typer(group, name="pseudonyms")


@recorded("pseudonyms.key", "change")
def pseudonyms_key(context: typer.Context, output: OutputOption = None) -> None:
    """Make the key: a file of mode 0600 where pseudonyms.key_file says. Back it up apart from Elasticsearch.

    Examples:  skytrail pseudonyms key
    """
    _add(context, output, new=True)
    say('Next: the same file for every index and detect worker, then namespaces = ["…"] in [pseudonyms]')


@recorded("pseudonyms.rotate", "change")
def pseudonyms_rotate(context: typer.Context, output: OutputOption = None) -> None:
    """Add a newer key: tokens of new documents differ from then on; the old ones can still be revealed and compared.

    Old and new documents of one person no longer join, and rules that learn what is usual begin anew.

    Examples:  skytrail pseudonyms rotate
    """
    _add(context, output, new=False)
    say("Next: the same file for every index and detect worker, and start them again")


@recorded("pseudonyms.token", details=("namespace",))
def pseudonyms_token(
    context: typer.Context,
    value: Annotated[list[str], typer.Argument(metavar="VALUE…", help="Names, e-mail addresses, IP addresses.")],
    namespace: NamespaceOption,
    output: OutputOption = None,
) -> None:
    """Say which tokens stand for somebody whom you know already, to search by them: one per key, the newest first.

    It is recorded, with the tokens: who has the keys can find out whom a token means by trying names.

    Examples:  skytrail pseudonyms token alice@example.com 203.0.113.9 -n acme
    """
    found = context_of(context)
    pseudonyms = _opened(found.settings)
    rows = [
        {"value": each, "token": token, "key": key.id}
        for each in value
        for key in pseudonyms.keys
        for token in (key.token(namespace, each),)
    ]
    found.told["tokens"] = [row["token"] for row in rows]
    emit_rows(rows, output, columns=("value", "token", "key"))


def pseudonyms_subject(token: TokenArgument, namespace: NamespaceOption, output: OutputOption = None) -> None:
    """Say what a request about these tokens has as its subject, for who is to agree to it.

    Examples:  skytrail pseudonyms subject psn-u-… -n acme
    """
    emit_object({"namespace": namespace, "subject": subject_of_tokens(namespace, token)}, output)


@recorded("pseudonyms.request", "change", details=("token", "namespace", "reason", "by"))
def pseudonyms_request(
    context: typer.Context,
    token: TokenArgument,
    namespace: NamespaceOption,
    reason: Annotated[str, typer.Option(help="Reference of what asks for it; no personal data.")],
    by: Annotated[str, typer.Option(help="Your name in the policy's people.")],
    key: KeyFileOption,
    out: Annotated[Path, typer.Option(help="File to write, for those who are to agree.")],
) -> None:
    """Ask to learn who stands behind tokens: writes a request, signed by you, that others sign with `skytrail approve`.

    The policy says how many must agree (approvals.reveal, one at least). Send them the tokens, too.

    Examples:  skytrail pseudonyms request psn-u-… -n acme --reason CASE-7 --by alice --key a.pem --out 7.request
    """
    policy = _policy(context_of(context).settings, namespace)
    request = Request(
        action="reveal",
        namespace=namespace,
        subject=subject_of_tokens(namespace, token),
        reason=reason,
        requested_by=by,
        at=instant(dt.datetime.now(dt.UTC)),
    )
    out.write_bytes(ask(request, signing(policy, by, key)))
    needed = needed_of(policy) if policy else 0
    say(f"{out}: {needed} others must agree: skytrail approve {out} --by NAME --key FILE")


@recorded("pseudonyms.reveal", target="token", details=("request", "namespace"))
def pseudonyms_reveal(
    context: typer.Context,
    token: TokenArgument,
    request: Annotated[Path, typer.Option(help="The request, signed by everybody who has to.")],
    namespace: NamespaceOption,
    output: OutputOption = None,
) -> None:
    """Say who stands behind tokens, if enough people agreed to a request about exactly these. It is recorded.

    Exit 4: too few agreed, or the request is older than 30 days. Exit 5: a token that can't be told.

    Examples:  skytrail pseudonyms reveal psn-u-… --request 7.request -n acme
    """
    found = context_of(context)
    settings = found.connected(elasticsearch=False)  # without Kafka there would be no record of it
    try:
        raw = request.read_bytes()
    except OSError as exc:
        raise ConfigError(f"reading a request: {exc.strerror}", where=str(request)) from exc
    now = dt.datetime.now(dt.UTC)
    asked, agreed = check_reveal(raw, _policy(settings, namespace), namespace, token, now, str(request))
    found.told |= {"requested_by": asked.requested_by, "agreed": agreed, "reason": asked.reason}
    pseudonyms, rows = _opened(settings), []
    for each in dict.fromkeys(token):
        told = pseudonyms.reveal(namespace, each)
        kind, value = told or ("", "")
        rows.append({"token": each, "kind": kind, "value": value, "because": "" if told else _UNTOLD})
    emit_rows(rows, output, columns=COLUMNS)
    if any(row["because"] for row in rows):
        raise typer.Exit(Exit.INCOMPLETE)


def _add(context: typer.Context, output: Output | None, *, new: bool) -> None:
    settings = context_of(context).settings
    file = place_of(settings.pseudonyms, settings.state_dir)
    made = add_key(file, settings.archive_dir, dt.datetime.now(dt.UTC), new=new)
    emit_object({"key": made.id, "key_file": str(file)}, output)


def _opened(settings: Settings) -> Pseudonyms:
    """The keys that there are, also where pseudonyms are off by now."""
    opened = open_where_possible(settings.pseudonyms, settings.state_dir, settings.archive_dir)
    if not opened.keys:
        mend = "run it where the keys are: pseudonyms.key_file; `skytrail pseudonyms key` makes the first"
        where = str(place_of(settings.pseudonyms, settings.state_dir))
        raise ConfigError("opening the keys of pseudonyms: there are none here", where=where, mend=mend)
    return opened


def _policy(settings: Settings, namespace: str) -> Policy | None:
    retaining = open_retaining(settings, lambda: dt.datetime.now(dt.UTC), allow_delete=True)
    if namespace not in retaining.namespaces():
        raise ConfigError(f"looking for who may agree: namespace {namespace!r} has no ledger", where="--namespace")
    return retaining.record(namespace).now().policy
