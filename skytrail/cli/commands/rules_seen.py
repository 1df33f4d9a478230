"""`skytrail rules seen|recall`: what a rule really evaluated, and what a rule set of an alert said."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from typing import Annotated

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.commands.rules import group
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say
from skytrail.cli.times import stretch
from streams.evaluations import Seen
from streams.seen import read_ledger, read_spans, since, topics_of

SCHEMA_VERSION = 1
COLUMNS = ("seen", "topic", "partition", "first_offset", "last_offset", "version", "since", "digest")


def register(_: typer.Typer) -> None:
    """Add the commands to the group `rules`."""
    group.command("seen")(rules_seen)
    group.command("recall")(rules_recall)


def rules_seen(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(help="Id or UUID of a rule or correlation.")],
    start: Annotated[str | None, typer.Option("--from", help="Records of this time on: ISO 8601 or an age.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Records before this.")] = None,
    output: OutputOption = None,
) -> None:
    """Would we have seen it, and since when? Which records a rule was evaluated on, by offset, and in which rule set.

    The role detect writes down from which offset on it evaluated which rule set. Times are those at which records
    came to Kafka. A rule sees nothing of a record that is refused (`skytrail dead-letters list`).

    Exits 0 when the rule saw every record of its log sources in that time, 1 when it did not see some, 5 when that is
    not known of some (older than the ledger), or they are not evaluated yet.

    Examples:  skytrail rules seen aws-trail-stopped   |   skytrail rules seen aws-trail-stopped --from 7d -o json
    """
    kafka = context_of(context).connected(elasticsearch=False).kafka
    now = dt.datetime.now(dt.UTC)
    ledger = asyncio.run(read_ledger(kafka))
    sources = ledger.log_sources(rule)
    if not sources:
        raise ConfigError(
            f"looking for rule {rule!r}: no rule set that was ever evaluated has it",
            mend="`skytrail rules list` shows the ids; the role detect must have run with it",
        )
    spans = asyncio.run(read_spans(kafka, topics_of(sources), *stretch(start, end, now)))
    parts = ledger.seen(rule, spans)
    begun = since(ledger.seen(rule, {place: (0, span[1]) for place, span in spans.items()}))
    verdict = _verdict(parts)
    rows = [dataclasses.asdict(part) for part in parts]
    if chosen(output) is Output.JSON:
        told = {"schema_version": SCHEMA_VERSION, "rule": rule, "verdict": verdict, "since": begun, "ranges": rows}
        emit_object(told, output)
    else:
        emit_rows(rows, output, columns=COLUMNS)
    say(_words(rule, verdict, parts, begun))
    if verdict != "seen":
        raise typer.Exit(Exit.FINDINGS if verdict in ("partly", "unseen") else Exit.INCOMPLETE)


def rules_recall(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="Version of a rule set, as alerts and `rules seen` name it.")],
    rule: Annotated[str | None, typer.Argument(help="Id or UUID: print the file of this rule as it was.")] = None,
    output: OutputOption = None,
) -> None:
    """What a version of a rule set stood for when the role detect evaluated it: its rules, or the file of one.

    Examples:  skytrail rules recall 3f0c1d2e4b5a   |   skytrail rules recall 3f0c1d2e4b5a aws-trail-stopped
    """
    kafka = context_of(context).connected(elasticsearch=False).kafka
    ledger = asyncio.run(read_ledger(kafka))
    ruleset = ledger.sets.get(version)
    if ruleset is None:
        known = ", ".join(sorted(ledger.sets)) or "none"
        raise ConfigError(f"recalling rule set {version!r}: it was never evaluated here", mend=f"known are: {known}")
    if rule is None:
        rows = ({"id": each.id, "kind": each.kind, "level": each.level, "title": each.title, "file": each.file,
                 "digest": each.digest} for each in ruleset.rules)  # fmt: skip
        emit_rows(rows, output, columns=("id", "kind", "level", "title", "file", "digest"))
        return
    entry = ruleset.find(rule)
    if entry is None:
        raise ConfigError(
            f"recalling rule {rule!r}: the rule set {version} did not have it", mend="leave it out for a list"
        )
    typer.echo(ruleset.files[entry.file], nl=False)


def _verdict(parts: list[Seen]) -> str:
    answers = {part.seen for part in parts}
    if "no" in answers:
        return "partly" if "yes" in answers else "unseen"
    return "seen" if answers <= {"yes"} else "unknown"


def _words(rule: str, verdict: str, parts: list[Seen], begun: str | None) -> str:
    messages = {answer: sum(p.last_offset - p.first_offset + 1 for p in parts if p.seen == answer) for answer in
                ("yes", "no", "unknown", "not yet")}  # fmt: skip
    counts = ", ".join(f"{number:,} {answer}" for answer, number in messages.items() if number) or "no records"
    now = f"it sees all records since {begun}" if begun else "it does not see all records now"
    return f"{rule}: {verdict} (Kafka messages: {counts}); {now}"
