"""Which days and weeks of the logs somebody reviewed, who and when, beside the alerts of that time."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from ingest.schema.errors import SkytrailError
from skytrail.reports.evidence.people import due, sign_offs, start_of
from skytrail.reports.gathering import Asked
from skytrail.reports.report import Section, Verdict
from skytrail.reports.reviews import DAILY, WEEKLY, SignOff, ends_of, reviewed
from storage.index.alerts import alerts
from storage.index.search import Query

TITLE = "Review of the logs"
_COLUMNS = ("reviewed", "by", "at", "days after", "comment")


async def gather(asked: Asked) -> Sequence[Section]:
    """Read the sealed sign-offs, and the alerts of the period."""
    try:
        signed = await sign_offs(asked)
    except SkytrailError as exc:  # the report tells it
        told = f"Not measured: {exc}"
        return [Section(name="daily", title="Daily reviews", verdict=Verdict.NOT_MEASURED, text=told)]
    try:
        raised, known = await _alerts(asked), ""
    except SkytrailError as exc:  # the reviews are told all the same
        raised, known = {}, f" Alerts were not measured: {exc}"
    return [
        _daily(due(asked, DAILY), signed, raised, known),
        _weekly(due(asked, WEEKLY), signed),
        _others(signed),
    ]


def _daily(wanted: Sequence[str], signed: Sequence[SignOff], raised: Mapping[str, Counter[str]], known: str) -> Section:
    found = reviewed(DAILY, signed)
    counts = {day: (None, None) if known else (raised[day].total(), raised[day]["open"]) for day in wanted}
    return Section(
        name="daily",
        title="Daily reviews",
        verdict=_verdict(wanted, found),
        text=(
            f"{_told(wanted, found)} A day (UTC) is due a day after it was over; a sign-off before its end counts for "
            f"nothing. Sign-offs are read from the sealed archive, alerts from Elasticsearch.{known}"
        ),
        columns=("day", *_COLUMNS, "alerts", "still open"),
        rows=tuple((day, *_row(DAILY, day, found), *counts[day]) for day in wanted),
    )


def _weekly(wanted: Sequence[str], signed: Sequence[SignOff]) -> Section:
    found = reviewed(WEEKLY, signed)
    return Section(
        name="weekly",
        title="Weekly reviews",
        verdict=_verdict(wanted, found),
        text=f"{_told(wanted, found)} A week of ISO 8601 counts as reviewed, too, if each of its days was signed off.",
        columns=("week", *_COLUMNS),
        rows=tuple((week, *_row(WEEKLY, week, found)) for week in wanted),
    )


def _others(signed: Sequence[SignOff]) -> Section:
    others = [each for each in signed if each.what not in (DAILY, WEEKLY)]
    return Section(
        name="others",
        title="Other reviews that were signed off",
        text="Reports and whatever else somebody said to have reviewed.",
        columns=("what", "period", "by", "at", "comment"),
        rows=tuple(
            (each.what, each.period, each.who, f"{each.at:%Y-%m-%dT%H:%M:%SZ}", each.comment) for each in others
        ),
    )


def _verdict(wanted: Sequence[str], found: Mapping[str, SignOff]) -> Verdict:
    if not wanted:
        return Verdict.NOT_MEASURED
    return Verdict.PASS if all(each in found for each in wanted) else Verdict.FAIL


def _told(wanted: Sequence[str], found: Mapping[str, SignOff]) -> str:
    return f"{sum(each in found for each in wanted):,} of {len(wanted):,} were signed off."


def _row(kind: str, period: str, found: Mapping[str, SignOff]) -> tuple[Any, ...]:
    told = found.get(period)
    if told is None:
        return (False, "", "", None, "")
    late = (told.at - ends_of(kind, period)).days
    return (True, told.who, f"{told.at:%Y-%m-%dT%H:%M:%SZ}", late, told.comment)


async def _alerts(asked: Asked) -> Mapping[str, Counter[str]]:
    """Alerts by day and status."""
    found: dict[str, Counter[str]] = {day: Counter() for day in due(asked, DAILY)}
    query = Query("*", asked.namespace, None, start_of(asked), asked.end, oldest_first=True)
    async with aclosing(alerts(asked.client, query, limit=None)) as hits:
        async for alert in hits:
            day = dt.datetime.fromisoformat(str(alert.document["@timestamp"])).astimezone(dt.UTC).date().isoformat()
            if day in found:
                found[day][alert.status] += 1
    return found
