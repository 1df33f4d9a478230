"""`skytrail report`: what auditors ask for, measured and signed."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import OutputOption, emit_object, emit_rows, say
from skytrail.cli.times import stretch
from skytrail.recording import account, recorded
from skytrail.reports.files import files_of, read, write
from skytrail.reports.gathering import Asked, all_kinds, kind_named, make
from skytrail.reports.report import Report, Verdict
from skytrail.reports.reviews import check_period
from skytrail.reports.signing import NOTE, check, origin_of
from skytrail.settings import Settings
from storage.index.client import connect
from storage.ledger.keyring import KeyRing
from storage.ledger.signing import ED25519, parse_vkey

COLUMNS = ("section", "verdict", "text")


group = typer.Typer(help="Reports for auditors: measured, signed, checked offline.", no_args_is_help=True)
"""The group `report`; other files of this package add their verbs to it."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group.command("kinds")(report_kinds)
    group.command("make")(report_make)
    group.command("verify")(report_verify)
    group.command("sign-off")(report_sign_off)
    app.add_typer(group, name="report")


def report_kinds(output: OutputOption = None) -> None:
    """List the kinds of reports.

    Examples:  skytrail report kinds   |   skytrail report kinds -o json
    """
    emit_rows(
        ({"kind": each.name, "title": each.title} for each in all_kinds().values()), output, columns=("kind", "title")
    )


@recorded("report.make", target="kind", details=("out", "namespace", "start", "end"))
def report_make(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="As `report kinds` lists them.")],
    out: Annotated[Path, typer.Option("--out", help="Directory to make: JSON, HTML, PDF, CSV and the signature.")],
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Only this namespace.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="ISO 8601 or an age such as 30d.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Time before which it ends. Default: now.")] = None,
    output: OutputOption = None,
) -> None:
    """Measure, write and sign a report. Exit 1 if a section fails, 5 if one could not be measured.

    Examples:  skytrail report make integrity --out integrity-2026-11
               skytrail report make access --from 30d --out access -o json
    """
    chosen = kind_named(kind)
    settings = context_of(context).connected()
    now = dt.datetime.now(dt.UTC)
    since, until = stretch(start, end or "now", now)
    window = since, until or now
    made = asyncio.run(made_report(settings, kind, namespace, *window, now))
    pair = KeyRing(settings.keys_file).newest(now)
    origin = origin_of(settings.ledger.organisation)
    write(out, files_of(made, pair.signers(origin)))
    _show(made, output)
    keys = [str(key) for key in pair.verifier_keys(origin) if key.algorithm == ED25519]
    say(f"{chosen.title}: {made.verdict.value}. Written to {out}; signed by {', '.join(keys)}")
    if made.verdict is Verdict.FAIL:
        raise typer.Exit(Exit.FINDINGS)
    if made.verdict is Verdict.NOT_MEASURED:
        raise typer.Exit(Exit.INCOMPLETE)


def report_verify(
    place: Annotated[
        str,
        typer.Argument(
            help="Directory of the report, or address (s3://, azure://, gs://) of a delivered one's folder."
        ),
    ],
    key: Annotated[list[str], typer.Option("--key", help="Verifier key to believe; repeat it.")],
    output: OutputOption = None,
) -> None:
    """Check that a report is as it was signed; needs no service, and no network for a directory. Exit 1 if it is not.

    Examples:  skytrail report verify integrity-2026-11 --key logs.example.org/reports+5ad0f3b1+AZ1f...
               skytrail report verify s3://reports/daily/2026-11-26/20261127T001700000000Z --key KEY
    """
    files = read(place)
    try:
        keys = [parse_vkey(text) for text in key]
    except ValueError as exc:
        raise ConfigError(f"reading key: {exc}", mend="give it as `report make` told it") from exc
    note = files.pop(NOTE)
    found = check(note, files, keys)
    emit_object(
        {
            "signatureValid": bool(found.signed_by),
            "signatureAlgorithm": "Ed25519",
            "signatureKeyId": found.signed_by,
            "validationErrors": found.problems,
            "genuine": not found.problems,
        },
        output,
    )
    if found.problems:
        say("next: ask whoever sent it for the report again, and for the key by another way")
        raise typer.Exit(Exit.FINDINGS)


@recorded("report.sign-off", "change", target="what", details=("period", "comment"))
def report_sign_off(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="What was reviewed: daily, weekly, or the name of a report.")],
    period: Annotated[str, typer.Option(help="Which day or week, such as 2026-11-26 or 2026-W48.")],
    comment: Annotated[str, typer.Option("--comment", "-c", help="What was seen and done.")],
) -> None:
    """State that you reviewed the logs of a period; kept as a sealed record with your name.

    Examples:  skytrail report sign-off daily --period 2026-11-26 -c '3 alerts, all closed'
    """
    if not context_of(context).is_installed:
        raise ConfigError(
            "signing off: no Kafka is known, so nothing would be kept", mend="set kafka.bootstrap_servers"
        )
    if not comment.strip():
        raise ConfigError("signing off: the comment is empty", mend="say what was seen and done")
    check_period(what, period)
    say(f"{account()} reviewed {what} {period}; `skytrail report make log-review` lists it")


async def made_report(
    settings: Settings,
    kind: str,
    namespace: str | None,
    start: dt.datetime | None,
    end: dt.datetime,
    now: dt.datetime,
) -> Report:
    """A report of a kind, measured now with connected settings.

    Raises:
        SkytrailError: A source of evidence can't be reached.
    """
    client = connect(settings.elasticsearch, "reader")
    try:
        return await make(kind_named(kind), Asked(settings, client, namespace, start, end, now), account())
    finally:
        await client.close()


def _show(made: Report, output: OutputOption) -> None:
    rows: list[dict[str, Any]] = [
        {"section": each.title, "verdict": each.verdict.value, "text": each.text} for each in made.sections
    ]
    emit_rows(rows, output, columns=COLUMNS)
