"""`skytrail rules explain`: why a rule matches an event or not; needs no service."""

from __future__ import annotations

import datetime as dt
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from detectors.explain import Clause, Explanation, explain
from detectors.reason import word_reason
from detectors.rule import Rule
from detectors.sigma.fields import Fields
from ingest.document import Receipt, complete
from ingest.formats.contract import Format, View
from ingest.formats.recognition import doubt, recognise
from ingest.formats.registry import format_named
from ingest.schema.errors import ConfigError, MalformedBody, RejectedRecord
from skytrail.cli.commands.rules import group
from skytrail.cli.commands.scan import AUTO, FormatOption
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, say, shown
from skytrail.cli.rule_choice import rules_named
from skytrail.scan.bodies import DOCUMENT_BYTES, bodies, inflated

_YES, _NO = "yes", "no "


def register(_: typer.Typer) -> None:
    """Add the command to the group `rules`."""
    group.command("explain")(rules_explain)


def rules_explain(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(help="Id of a rule in force, or a rule file.")],
    path: Annotated[str, typer.Argument(metavar="EVENT_FILE|-", help="File with the event, or - for stdin.")],
    format_name: FormatOption = AUTO,
    record: Annotated[int, typer.Option(min=0, help="Ordinal of the event in the file, as `scan` tells it.")] = 0,
    output: OutputOption = None,
) -> None:
    """Say why a rule matches an event or not, clause by clause. An answer of either kind exits 0.

    Examples:  skytrail rules explain aws-trail-stopped event.json   |   skytrail rules explain my.yml log.gz --record 7
    """
    found = _rule(context, rule)
    format_, view, why = _event(path, record, format_name)
    try:
        answer = explain(found, view, format_.log_source, format_.aliases)
    except Exception as exc:  # whatever a rule raises is the answer here
        say(f"the rule raises {type(exc).__name__} on this event and is off for it: {exc}")
        raise typer.Exit(Exit.BAD_INPUT) from exc
    if why:
        say(f"the event can't be normalised, so only the vendor's own fields are there: {why}")
    reason = word_reason(found.reason or found.title, Fields(view, format_.aliases)) if answer.fires else ""
    if chosen(output) in (Output.JSON, Output.JSONL):
        emit_object(_object(found, format_, record, reason, answer), output)
        return
    for line in _page(found, answer, reason):
        sys.stdout.write(shown(line) + "\n")


def _rule(context: typer.Context, name: str) -> Rule:
    found = rules_named(context, name)
    if len(found) != 1:
        raise ConfigError(
            f"looking for a rule: there are {len(found)}, one is wanted", where=name, mend="name its file"
        )
    return found[0]


def _event(path: str, ordinal: int, format_name: str) -> tuple[Format, View, str]:
    """The event, and why it has no document where it has none."""
    source = bodies(_inflated(path))
    first = next(source, b"")
    known = recognise(first) if format_name == AUTO else [format_name]
    if len(known) != 1:
        raise MalformedBody(doubt(known), where=path, mend="name its format by --format")
    format_ = format_named(known[0])
    format_ = format_.within(format_.context(first))
    records = itertools.chain.from_iterable(map(format_.split, itertools.chain((first,), source)))
    body = next(itertools.islice(records, ordinal, None), None)
    if body is None:
        raise ConfigError(f"looking for record {ordinal}: the input ends before", where=path, mend="they count from 0")
    now = dt.datetime.now(dt.UTC)
    try:
        event = complete(format_, body, Receipt("default", "explain", now, path, ordinal), now)
    except RejectedRecord as exc:
        return format_, format_.read(body).view(), str(exc.what)
    view = event.reading.view()
    view.ecs = event.document
    return format_, view, ""


def _inflated(path: str) -> Iterator[bytes]:
    if path == "-":
        yield from inflated(iter(lambda: sys.stdin.buffer.read(DOCUMENT_BYTES), b""))
        return
    try:
        with Path(path).open("rb") as handle:
            yield from inflated(iter(lambda: handle.read(1024 * 1024), b""))
    except OSError as exc:
        raise ConfigError(
            f"reading event: {exc.strerror}", where=path, mend="give a readable file, or - for stdin"
        ) from exc


def _object(rule: Rule, format_: Format, record: int, reason: str, answer: Explanation) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "rule_id": rule.id,
        "rule_version": rule.version,
        "format": format_.name,
        "record": record,
        "fires": answer.fires,
        "reason": reason,
        "obstacles": list(answer.obstacles),
        "condition": _plain(answer.condition),
    }


def _plain(clause: Clause) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": clause.kind, "holds": clause.holds}
    if clause.parts:
        return {**plain, "parts": [_plain(part) for part in clause.parts]}
    if clause.kind == "field":
        plain |= {"field": clause.field, "found": list(clause.found), "found_more": clause.more}
    return {**plain, "test": clause.test}


def _page(rule: Rule, answer: Explanation, reason: str) -> Iterator[str]:
    yield f"{rule.id} {'fires' if answer.fires else 'does not fire'} on this event: {rule.title}"
    for obstacle in answer.obstacles:
        yield f"{_NO} {obstacle}"
    yield from _lines(answer.condition)
    if reason:
        yield f"reason: {reason}"


def _lines(clause: Clause, depth: int = 0) -> Iterator[str]:
    """The tree, a clause a line, indented."""
    answer, indent = _YES if clause.holds else _NO, "  " * depth
    if clause.kind in ("all of", "any of", "not"):
        yield f"{answer} {indent}{clause.kind}:"
        for part in clause.parts:
            yield from _lines(part, depth + 1)
        return
    values = ", ".join(clause.found) + (f" and {clause.more} more" if clause.more else "")
    stood = f" — found {values or 'nothing'}" if clause.kind == "field" else ""
    yield f"{answer} {indent}{f'{clause.field} {clause.test}'.strip()}{stood}"
