"""Whether what came in is accounted for, per source, and where days without events are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError

from ingest.formats.registry import all_formats
from skytrail.reports.gathering import Asked
from skytrail.reports.report import Section, Verdict
from storage.index.client import explain
from storage.index.names import pattern
from streams.status import Status, read_status

TITLE = "Completeness per source"
_PAGE = 1000  # buckets that one request asks for
_COUNTS = ("received", "sealed", "indexed", "duplicate", "dead_lettered", "filtered")


async def gather(asked: Asked) -> Sequence[Section]:
    """Read the accounts of the roles, and the days of events per source.

    Raises:
        BrokerUnavailable: Kafka does not answer.
        IndexUnavailable: Elasticsearch does not answer.
    """
    found = await read_status(asked.settings.kafka, list(all_formats()), asked.namespace)
    return [_accounts(found), days_section(await daily(asked))]


def _accounts(found: Status) -> Section:
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
        title="Received and accounted for",
        verdict=verdict,
        text=(
            "received = indexed + duplicate + dead-lettered + filtered, and sealed = received, for every source since "
            f"it exists; the residue is what is missing in that sum.{lag}"
        ),
        columns=("namespace", "format", "collector", *_COUNTS, "residue"),
        rows=rows,
        chart="received",
    )


def days_section(buckets: Sequence[Mapping[str, Any]]) -> Section:
    """The section of days, from what `daily` found."""
    rows = tuple(_source(source, days) for source, days in sorted(_by_source(buckets).items()))
    silent = sum(row[-1] > 0 for row in rows)
    return Section(
        name="days",
        title="Days with events",
        verdict=Verdict.NOT_MEASURED if not rows else Verdict.FAIL if silent else Verdict.PASS,
        text=(
            "Per data set, account and collector: first and last event in Elasticsearch, and the days between them "
            "with events and without. A day without is a gap until somebody explains it: quiet, or not delivered."
        ),
        columns=("data set", "account", "collector", "events", "first", "last", "days with events", "days without"),
        rows=rows,
        chart="events",
    )


def _by_source(buckets: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], list[Mapping[str, Any]]]:
    """The days of each source, in order; not of what Skytrail writes about itself, which comes when somebody acts."""
    found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for bucket in buckets:
        dataset, account, collector = (str(bucket["key"][name] or "-") for name in ("dataset", "account", "collector"))
        if not dataset.startswith("skytrail."):
            found.setdefault((dataset, account, collector), []).append(bucket)
    return found


def _source(source: tuple[str, str, str], days: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    first = min(str(day["first"]["value_as_string"]) for day in days)
    last = max(str(day["last"]["value_as_string"]) for day in days)
    span = (_date(last) - _date(first)).days + 1
    return (*source, sum(int(day["doc_count"]) for day in days), first, last, len(days), span - len(days))


def _date(text: str) -> dt.date:
    return dt.datetime.fromisoformat(text).date()


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
