"""Whether what came in is accounted for, per source, and where days without events are."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError

from ingest.formats.registry import all_formats
from ingest.schema.errors import SkytrailError
from skytrail.reports.gathering import Asked
from skytrail.reports.report import Section, Verdict
from storage.index.client import explain
from storage.index.names import pattern
from streams.status import Status, read_status

TITLE = "Completeness per source"
_PAGE = 1000  # buckets that one request asks for
_ACCOUNTS, _DAYS = "Received and accounted for", "Days with events"
_KNOWN = dt.timedelta(days=90)
"""How long before the period a source with events counts as one that ought to have some in it."""
_GRACE = dt.timedelta(days=1)
"""After which the logs of a day must have come."""
Source = tuple[str, str, str]
"""Data set, account and collector."""
_COUNTS = ("received", "sealed", "indexed", "duplicate", "dead_lettered", "filtered")


@dataclasses.dataclass(frozen=True, slots=True)
class Before:
    """The sources that were there before a period.

    Attributes:
        start: First whole day of the period; None: it begins with the first event.
        last: Their last event before it.
    """

    start: dt.date | None = None
    last: Mapping[Source, str] = dataclasses.field(default_factory=dict)


async def gather(asked: Asked) -> Sequence[Section]:
    """Read the accounts of the roles, and the days of events per source; what can't be read is not measured."""
    return [await _accounts(asked), await _days(asked)]


async def _accounts(asked: Asked) -> Section:
    try:
        return accounts_section(await read_status(asked.settings.kafka, list(all_formats()), asked.namespace))
    except SkytrailError as exc:  # the report tells it; the days are told all the same
        return Section(name="accounts", title=_ACCOUNTS, verdict=Verdict.NOT_MEASURED, text=f"Not measured: {exc}")


async def _days(asked: Asked) -> Section:
    try:
        return days_section(await daily(asked), await known_before(asked), covered_until(asked))
    except SkytrailError as exc:  # the report tells it; the accounts are told all the same
        return Section(name="days", title=_DAYS, verdict=Verdict.NOT_MEASURED, text=f"Not measured: {exc}")


def accounts_section(found: Status) -> Section:
    """The section of accounts, from what `read_status` found."""
    rows = tuple(
        (
            each.namespace,
            each.format,
            each.collector,
            *(getattr(each, name) for name in _COUNTS),
            sum(map(abs, each.residue.values())),
        )
        for each in found.sources
    )
    lost = sum(int(row[-1]) for row in rows)
    behind = sum(found.lag.values())
    verdict = Verdict.NOT_MEASURED if not rows or behind else Verdict.FAIL if lost else Verdict.PASS
    lag = f" The roles had {behind:,} messages still to read, so the accounts were not at rest." if behind else ""
    return Section(
        name="accounts",
        title=_ACCOUNTS,
        verdict=verdict,
        text=(
            "received = indexed + duplicate + dead-lettered + filtered, and sealed = received, for every source since "
            f"it exists; the residue is what is missing in that sum.{lag}"
        ),
        columns=("namespace", "format", "collector", *_COUNTS, "residue"),
        rows=rows,
        chart="received",
    )


def covered_until(asked: Asked) -> dt.date:
    """The last day that is over at the end of the report, and a day of grace before now: then its logs have come."""
    return (min(asked.end, asked.now - _GRACE).astimezone(dt.UTC) - dt.timedelta(days=1)).date()


def days_section(buckets: Sequence[Mapping[str, Any]], before: Before, until: dt.date) -> Section:
    """The section of days.

    Args:
        buckets: As `daily` found them.
        before: Sources that were there before the period.
        until: Last day on which every source ought to have events.
    """
    found = _by_source(buckets)
    rows = tuple(_row(source, found.get(source, []), before, until) for source in sorted({*found, *before.last}))
    silent = sum(row[-1] > 0 for row in rows)
    return Section(
        name="days",
        title=_DAYS,
        verdict=Verdict.NOT_MEASURED if not rows else Verdict.FAIL if silent else Verdict.PASS,
        text=(
            "Per data set, account and collector: first and last event in Elasticsearch, and the days with events and "
            f"without up to {until:%Y-%m-%d} (UTC), the last day whose logs must be here. They are counted from the "
            f"first event on, or from the start of the period where there were events within {_KNOWN.days} days before "
            "it. A day without is a gap until somebody explains it: quiet, or not delivered."
        ),
        columns=("data set", "account", "collector", "events", "first", "last", "days with events", "days without"),
        rows=rows,
        chart="events",
    )


def _by_source(buckets: Sequence[Mapping[str, Any]]) -> dict[Source, list[Mapping[str, Any]]]:
    """The days of each source, in order; not of what Skytrail writes about itself, which comes when somebody acts."""
    found: dict[Source, list[Mapping[str, Any]]] = {}
    for bucket in buckets:
        dataset, account, collector = (str(bucket["key"][name] or "-") for name in ("dataset", "account", "collector"))
        if not dataset.startswith("skytrail."):
            found.setdefault((dataset, account, collector), []).append(bucket)
    return found


def _row(source: Source, days: Sequence[Mapping[str, Any]], before: Before, until: dt.date) -> tuple[Any, ...]:
    first = min((str(day["first"]["value_as_string"]) for day in days), default="")
    last = max((str(day["last"]["value_as_string"]) for day in days), default=before.last.get(source, ""))
    there = {_date(str(day["first"]["value_as_string"])) for day in days}
    start = before.start if before.start is not None and source in before.last else _date(first)
    span = (max([until, *there]) - start).days + 1
    lacking = sum(start + dt.timedelta(days=at) not in there for at in range(span))
    return (*source, sum(int(day["doc_count"]) for day in days), first, last, len(there), lacking)


def _date(text: str) -> dt.date:
    return dt.datetime.fromisoformat(text).date()


async def known_before(asked: Asked) -> Before:
    """The sources that ought to be there from the first whole day of the period on.

    Raises:
        IndexUnavailable: Elasticsearch does not answer.
    """
    if asked.start is None:
        return Before()
    start = asked.start.astimezone(dt.UTC)
    earlier = dataclasses.replace(asked, start=start - _KNOWN, end=start)
    first = start.date() if start.time() == dt.time() else start.date() + dt.timedelta(days=1)
    found = _by_source(await daily(earlier))
    return Before(first, {each: max(str(day["last"]["value_as_string"]) for day in found[each]) for each in found})


async def daily(asked: Asked) -> list[Mapping[str, Any]]:
    """Events per data set, account, collector and day.

    Raises:
        IndexUnavailable: Elasticsearch does not answer.
    """
    window = {"lt": asked.end.isoformat(), **({"gte": asked.start.isoformat()} if asked.start else {})}
    sources: list[dict[str, Any]] = [
        {"dataset": {"terms": {"field": "data_stream.dataset"}}},
        {"account": {"terms": {"field": "cloud.account.id", "missing_bucket": True}}},
        {"collector": {"terms": {"field": "skytrail.collector", "missing_bucket": True}}},
        {"day": {"date_histogram": {"field": "@timestamp", "calendar_interval": "day"}}},
    ]
    inner = {"first": {"min": {"field": "@timestamp"}}, "last": {"max": {"field": "@timestamp"}}}
    found: list[Mapping[str, Any]] = []
    after: dict[str, Any] = {}
    while True:
        composite = {"size": _PAGE, "sources": sources, **after}
        try:
            answer = await asked.client.search(
                index=pattern(None, asked.namespace),
                query={"range": {"@timestamp": window}},
                aggs={"days": {"composite": composite, "aggs": inner}},
                size=0,
                ignore_unavailable=True,
                allow_partial_search_results=False,  # a part of the days is not an answer
            )
        except (ApiError, TransportError) as exc:
            raise explain(exc, "reading days with events") from exc
        page = (answer.get("aggregations") or {}).get("days", {})
        found.extend(page.get("buckets", []))
        if "after_key" not in page:
            return found
        after = {"after": page["after_key"]}
