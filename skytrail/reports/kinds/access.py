"""Who did what with Skytrail: per person and action, and every change one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from ingest.schema.action import FORMAT_NAME
from skytrail.reports.gathering import Asked
from skytrail.reports.report import Section, Verdict
from storage.index.search import Query, search

TITLE = "Access to the logs, and changes"
SHOWN_CHANGES = 1000


@dataclass(slots=True)
class Use:
    """How often somebody did something."""

    times: int = 0
    failed: int = 0
    results: int = 0
    first: str = ""
    last: str = ""
    hosts: set[str] = field(default_factory=set)


async def gather(asked: Asked) -> Sequence[Section]:
    """Read the records of actions.

    Raises:
        IndexUnavailable: Elasticsearch does not answer.
    """
    uses, changes = await read_uses(asked)
    return [_people(uses), _changes(changes), _limits()]


async def read_uses(asked: Asked) -> tuple[dict[tuple[str, str], Use], list[Mapping[str, Any]]]:
    """How often each account did each action, and every change, oldest first.

    Raises:
        IndexUnavailable: Elasticsearch does not answer.
    """
    namespace = asked.settings.audit.namespace
    query = Query("*", namespace, FORMAT_NAME, asked.start, asked.end, oldest_first=True)
    uses: dict[tuple[str, str], Use] = {}
    changes: list[Mapping[str, Any]] = []
    async with aclosing(search(asked.client, query, limit=None)) as hits:
        async for hit in hits:
            _count(uses, hit.source)
            if hit.source["skytrail"].get("audit", {}).get("kind") in ("change", "deletion"):
                changes.append(hit.source)
    return uses, changes


def _count(uses: dict[tuple[str, str], Use], action: Mapping[str, Any]) -> None:
    event, audit = action["event"], action["skytrail"].get("audit", {})
    who = str(action.get("user", {}).get("name", "-"))
    use = uses.setdefault((who, str(event["action"])), Use())
    use.times += 1
    use.failed += event["outcome"] != "success"
    use.results += int(audit.get("result_count", 0))
    use.first = use.first or str(action["@timestamp"])
    use.last = str(action["@timestamp"])
    use.hosts.add(str(action.get("host", {}).get("name", "-")))


def _people(uses: Mapping[tuple[str, str], Use]) -> Section:
    return Section(
        name="people",
        title="Who did what",
        verdict=Verdict.FACTS if uses else Verdict.NOT_MEASURED,
        text="Every search, look, decision and change through Skytrail's commands is recorded, sealed and counted.",
        columns=("who", "action", "times", "not successful", "results", "first", "last", "machines"),
        rows=tuple(
            (*key, use.times, use.failed, use.results, use.first, use.last, ", ".join(sorted(use.hosts)))
            for key, use in sorted(uses.items())
        ),
        chart="times",
    )


def _changes(changes: Sequence[Mapping[str, Any]]) -> Section:
    more = f" The newest {SHOWN_CHANGES:,} of {len(changes):,} are listed." if len(changes) > SHOWN_CHANGES else ""
    return Section(
        name="changes",
        title="Changes",
        text=f"Decisions about alerts, redrives, keys, rule sets, retention.{more}",
        columns=("time", "who", "action", "target", "outcome", "reason"),
        rows=tuple(
            (
                str(each["@timestamp"]),
                str(each.get("user", {}).get("name", "-")),
                str(each["event"]["action"]),
                str(each["skytrail"]["audit"].get("target", "")),
                str(each["event"]["outcome"]),
                str(each.get("error", {}).get("message", "")),
            )
            for each in changes[-SHOWN_CHANGES:]
        ),
    )


def _limits() -> Section:
    return Section(
        name="limits",
        title="What is not seen here",
        verdict=Verdict.NOT_MEASURED,
        text=(
            "Whoever asks Elasticsearch or Kibana directly leaves no record of Skytrail: that is measured by their own "
            "audit log or slow log only."
        ),
    )
