"""`skytrail rules explain`: why a rule matches an event or not; of a file, or of the index."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from detectors.explain import Clause, Explanation, explain
from detectors.reason import word_reason
from detectors.rule import Rule
from detectors.sigma.fields import Fields
from detectors.sigma.filters import Filter
from detectors.sigma.interpret import holds
from ingest.schema.errors import ConfigError
from skytrail.cli.commands.rules import group
from skytrail.cli.commands.scan import AUTO, FormatOption
from skytrail.cli.commands.search import reading
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.one_event import OneEvent, from_document, from_file
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, say, shown
from skytrail.cli.rule_choice import chosen_rules, exceptions_for, rules_named
from skytrail.recording import recorded
from storage.index.search import Hit, document_by_id
from storage.settings import ElasticsearchSettings

DOCUMENT = re.compile(r"(?:logs-[^/]+/)?(?P<id>[A-Za-z0-9_-]{22})")
"""An id of ours, as `search` shows it, or with its index, as `alerts show` does."""
SHOWN = 10  # names in an error
_YES, _NO = "yes", "no "


def register(_: typer.Typer) -> None:
    """Add the command to the group `rules`."""
    group.command("explain")(rules_explain)


@recorded("rules.explain", target="rule", details=("where", "record"))
def rules_explain(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(help="Id of a rule in force, or a rule file.")],
    where: Annotated[
        str,
        typer.Argument(
            metavar="EVENT_FILE|-|DOCUMENT_ID",
            help="File with the event, - for stdin, or the id of an event in Elasticsearch.",
        ),
    ],
    format_name: FormatOption = AUTO,
    record: Annotated[int, typer.Option(min=0, help="Ordinal of the event in the file, as `scan` tells it.")] = 0,
    output: OutputOption = None,
) -> None:
    """Say why a rule matches an event or not, clause by clause. An answer of either kind exits 0.

    Exceptions about the rule are told with it: whether they would keep this match back today, and why not otherwise.
    Of an event in Elasticsearch the vendor's fields are read from event.original, the others are those of the document.

    Examples:  skytrail rules explain aws-trail-stopped event.json   |   skytrail rules explain my.yml log.gz --record 7
               skytrail rules explain aws-trail-stopped 5Jm1yW0nTTnB3yqL0G2p4A
    """
    found = _rule(context, rule)
    event = _event(context, where, record, format_name)
    format_, view = event.format, event.view
    for note in event.notes:
        say(note)
    try:
        answer = explain(found, view, format_.log_source, format_.aliases)
    except Exception as exc:  # whatever a rule raises is the answer here
        say(f"the rule raises {type(exc).__name__} on this event and is off for it: {exc}")
        raise typer.Exit(Exit.BAD_INPUT) from exc
    reason = word_reason(found.reason or found.title, Fields(view, format_.aliases)) if answer.fires else ""
    exceptions = list(_judged(exceptions_for(context, found, rule), event))
    if chosen(output) in (Output.JSON, Output.JSONL):
        emit_object({**_object(found, event, reason, answer), "exceptions": exceptions}, output)
        return
    for line in (*_page(found, answer, reason), *map(_excepted, exceptions)):
        sys.stdout.write(shown(line) + "\n")


def _rule(context: typer.Context, name: str) -> Rule:
    """The one rule that is meant; of a file, also one that only serves the correlation above it.

    Raises:
        ConfigError: There is none, or more than one.
        typer.Exit: The file holds none that can be loaded.
    """
    named = chosen_rules(context, name) if Path(name).exists() else None
    found = (*named.rules, *named.bases) if named else rules_named(context, name)
    if len(found) != 1:
        raise ConfigError(
            f"looking for a rule on single events: there are {len(found)}, one is wanted"
            + (f" ({', '.join(sorted(rule.id for rule in found[:SHOWN]))})" if found else ""),
            where=name,
            mend="name a file with one, or the id of a rule in force"
            if found
            else "`skytrail rules test` runs the tests of correlations",
        )
    return found[0]


def _event(context: typer.Context, where: str, record: int, format_name: str) -> OneEvent:
    """The event of a file, or of Elasticsearch where there is no such file and it may be an id."""
    if where == "-" or Path(where).exists() or not (named := DOCUMENT.fullmatch(where)):
        return from_file(where, record, format_name)
    settings = context_of(context).connected(kafka=False).elasticsearch
    found = asyncio.run(_document(settings, named["id"]))
    if found is None:
        raise ConfigError(
            f"looking for event {named['id']}: there is none, and no file of this name",
            mend="`skytrail search` and `skytrail alerts show` tell the ids of events",
        )
    return from_document(found)


async def _document(settings: ElasticsearchSettings, document_id: str) -> Hit | None:
    async with reading(settings) as client:
        return await document_by_id(client, document_id)


def _judged(exceptions: Iterable[Filter], event: OneEvent) -> Iterator[dict[str, Any]]:
    """What each exception says of the event today."""
    today = dt.datetime.now(dt.UTC).date()
    fields = Fields(event.view, event.format.aliases)
    namespace = event.view.ecs.get("data_stream", {}).get("namespace", "") if event.document else None
    for one in exceptions:
        applies = not holds(one.keeps, fields)
        here = namespace is None or not one.namespaces or namespace in one.namespaces
        yield {
            "id": one.id,
            "title": one.title,
            "owner": one.owner,
            "justification": one.justification,
            "expires": str(one.expires),
            "expired": not one.in_force(today),
            "namespaces": list(one.namespaces),
            "applies": applies,
            "keeps_back": applies and here and one.in_force(today),
        }


def _excepted(one: Mapping[str, Any]) -> str:
    if one["keeps_back"]:
        where = f" in {', '.join(one['namespaces'])}" if one["namespaces"] else ""
        return f"exception {one['id']} keeps a match back{where} until {one['expires']}: {one['justification']}"
    if not one["applies"]:
        return f"exception {one['id']} is not about this event"
    if one["expired"]:
        return f"exception {one['id']} would keep a match back, but expired on {one['expires']}"
    return f"exception {one['id']} counts in {', '.join(one['namespaces'])} only"


def _object(rule: Rule, event: OneEvent, reason: str, answer: Explanation) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "rule_id": rule.id,
        "rule_version": rule.version,
        "format": event.format.name,
        "record": event.record,
        "document": event.document,
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
