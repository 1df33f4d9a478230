"""`skytrail offboard`: ends a source, and states what came of it."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from typing import Annotated, Any

import msgspec
import typer

from skytrail.cli.commands.verify import SourceKeyOption, SourceOption, source_keys
from skytrail.cli.context import Context, context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say
from skytrail.collecting import checked_name, empty_spool
from skytrail.offboarding.asking import Asking, digests_of
from skytrail.offboarding.closing import close, ended
from skytrail.offboarding.keeping import keep, kept, record_file, wrong_of
from skytrail.offboarding.statement import COUNTS, Digests, Record, Statement
from skytrail.recording import recorded
from streams.arrivals import read_arrivals
from streams.retirement import tell_retired

SCHEMA_VERSION = 1
COLUMNS = ("namespace", "format", "collector", *COUNTS, "residue")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(offboard)


@recorded("offboard", "change", target="name")
def offboard(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A collector of the settings.")],
    wait: Annotated[float, typer.Option(help="Seconds to wait for the collector and the roles.", min=0)] = 120,
    source: SourceOption = None,
    source_key: SourceKeyOption = None,
    as_it_is: Annotated[
        bool, typer.Option("--as-it-is", help="Keep the record although something is missing; it says what.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Stop a collector for good and state what came of its source: counts, last event, ledger, CloudTrail's digests.

    It stops within seconds where it runs with this state directory, and refuses to start from then on. Once every
    role is done and every record accounted for, the statement is kept as a record, cited by an entry of the ledger
    where this machine has its keys. From then on the command shows that record and whether it is intact.

    Nothing is deleted: what was collected stays as long as retention says, counted from the moment of closing.

    Exit 0 when the statement is complete, 1 when a record is unaccounted for, was tampered with or came after the
    statement, 5 when something could not be waited for: run it again.

    Examples:  skytrail offboard trail   |   skytrail offboard trail --wait 600 -o json   |
    skytrail offboard trail --source s3://trail-bucket --source-key keys.json
    """
    own = context_of(context)
    checked_name(name)
    if record := kept(own.settings.state_dir, name):
        raise typer.Exit(_again(own, record, output))
    settings = own.settings.collector(name)
    found = own.connected(elasticsearch=False)
    mark = close(found.state_dir, name, _now())
    digests = _digests(source, source_key)

    async def state() -> Statement:
        stopped = await ended(found.state_dir, name, wait)
        if not stopped:
            say(f"`skytrail collect {name}` still runs: it ends by SIGTERM, as soon as what it holds is in Kafka")
        left = await empty_spool(name, settings, found, wait) if stopped else 0
        asking = Asking(name, settings, found, lambda: own.connected(kafka=False))
        made = await asking.statement(
            mark.closed_at, _now, running=not stopped, spooled=left, digests=digests, timeout_s=wait
        )
        await tell_retired(found.kafka, name, dt.datetime.fromisoformat(mark.closed_at), say)
        return made

    statement = asyncio.run(state())
    keeps = statement.complete or as_it_is
    record = keep(found, statement, _now) if keeps else None
    _show(statement, record, [], output)
    say(f"{name} starts no more with the state directory {found.state_dir}; stop it on every other machine, too")
    if record is not None:
        _tell_kept(record, str(record_file(found.state_dir, name)))
    raise typer.Exit(_code(statement))


def _again(own: Context, record: Record, output: Output | None) -> Exit:
    """Show a record that was kept, whether it is intact, and whether anything came after it."""
    statement = record.statement
    wrong = list(wrong_of(own.settings, record))
    seen = asyncio.run(read_arrivals(own.connected(elasticsearch=False).kafka, statement.collector))
    if (later := seen.records - statement.total("received")) > 0:
        wrong.append(f"{later} records came after the statement: a collector of this name runs somewhere")
    _show(statement, record, wrong, output)
    say(f"{statement.collector} was offboarded at {statement.closed_at}; nothing was changed")
    return Exit.FINDINGS if wrong else _code(statement)


def _code(statement: Statement) -> Exit:
    """Unaccounted or tampered at rest is a finding; what can still change is incomplete."""
    if statement.complete:
        return Exit.OK
    at_rest = not any(statement.lag.values()) and not any(
        "still runs" in reason or "in its spool" in reason for reason in statement.missing
    )
    return Exit.FINDINGS if at_rest else Exit.INCOMPLETE


def _show(statement: Statement, record: Record | None, wrong: list[str], output: Output | None) -> None:
    if chosen(output) is Output.JSON:
        shown: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "complete": statement.complete,
            "kept": record is not None,
            "wrong": wrong,
            "statement": msgspec.to_builtins(statement),
            "sha256": record.sha256 if record else None,
            "entry": msgspec.to_builtins(record.entry) if record else None,
        }
        emit_object(shown, output)
    else:
        emit_rows(map(_row, statement.sources), output, columns=COLUMNS)
    last = statement.last_event
    if last is not None:
        say(f"last event: {last.at} ({last.id})")
    if statement.ledger is not None:
        say(f"ledger {statement.ledger.origin}: {statement.ledger.size:,} entries, root {statement.ledger.root}")
    if statement.digests is not None:
        told = statement.digests
        say(f"CloudTrail's digests: {told.verdict}, {told.digests:,} digests, {told.log_files:,} log files")
    elif statement.format == "aws.cloudtrail":
        say("note: CloudTrail's digests were not asked: --source s3://BUCKET --source-key KEYS")
    for each in statement.kept:
        say(f"retention: {each.dataset}, {each.tier}: {each.decision} until {each.until or 'further'}: {each.because}")
    for note in statement.notes:
        say(f"note: {note}")
    for reason in (*statement.missing, *wrong):
        say(f"missing: {reason}" if reason in statement.missing else f"wrong: {reason}")
    if dead := statement.total("dead_lettered"):
        say(f"{dead:,} records are dead letters: `skytrail dead-letters` lists them and can send them on")
    if not statement.complete and record is None:
        say(f"next: mend that and run `skytrail offboard {statement.collector}` again; --as-it-is keeps it as it is")


def _row(source: dict[str, str | int]) -> dict[str, Any]:
    residue = sum(abs(int(count)) for name, count in source.items() if name.startswith("residue_"))
    return {**source, "residue": residue}


def _tell_kept(record: Record, file: str) -> None:
    cited = f"entry {record.entry.index} of the ledger cites it" if record.entry else "no entry of a ledger cites it"
    say(f"the record is kept in {file}, {cited}; SHA-256 {record.sha256}")
    say("next: give a copy to who keeps records, take the cloud's set-up away, delete the section of the settings")


def _digests(source: str | None, key: list[Any] | None) -> Digests | None:
    if source is None:
        return None
    return digests_of(source, source_keys(key or []), _now(), os.cpu_count() or 1)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
