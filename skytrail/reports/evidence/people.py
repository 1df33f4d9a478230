"""Facts about people: they reviewed the logs, looked after the alerts, and what they did was recorded."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Mapping
from contextlib import aclosing

import msgspec

from ingest.schema.action import FORMAT_NAME, Action
from skytrail.cli.places import opened
from skytrail.data_keys import data_keys
from skytrail.reports.facts import Fact, Ground, Measure
from skytrail.reports.gathering import Asked
from skytrail.reports.reviews import DAILY, WEEKLY, SignOff, periods, reviewed, sign_off_of
from storage.archive.opening import open_archive
from storage.archive.reader import ArchiveReader
from storage.index.alerts import alerts
from storage.index.search import Query, count
from storage.verify.ledger.namespace import lawful_of

MONTH = dt.timedelta(days=30)
"""What is looked at where the report names no start."""
REVIEWED_WITHIN = dt.timedelta(days=183)
"""Within which somebody must have reviewed who may do what: half a year, as PCI DSS 7.2.4 asks for."""
_ACCESS_REVIEW = "access-review"
_GRACE = dt.timedelta(days=1)


def start_of(asked: Asked) -> dt.datetime:
    """The start of the report, or a month before its end."""
    return asked.start or asked.end - MONTH


async def sign_offs(asked: Asked) -> list[SignOff]:
    """Every sign-off that was sealed since the start of the report, oldest first; those made after its end count too.

    They are read from the archive: a document that somebody wrote into Elasticsearch is no sign-off, and one that
    somebody took from it stays one.

    Raises:
        SkytrailError: The archive can't be read.
    """
    return await asyncio.to_thread(_sealed, asked)


def _sealed(asked: Asked) -> list[SignOff]:
    settings, namespace = asked.settings, asked.settings.audit.namespace
    store = open_archive(settings.archive, settings.archive_dir)
    place = settings.archive_place
    reader = ArchiveReader(store, data_keys(settings), lambda name: lawful_of(opened(place), name).segments)
    if namespace not in reader.namespaces():
        return []
    found = []
    for record in reader.records(namespace, formats=(FORMAT_NAME,), since=start_of(asked)):
        try:
            told = sign_off_of(msgspec.json.decode(record.body, type=Action))
        except msgspec.MsgspecError:
            continue  # a record of this format that tells no action: nobody signed by it
        found += [told] if told is not None else []
    return sorted(found, key=lambda each: each.at)


async def access_reviews(asked: Asked) -> list[SignOff]:
    """The sign-offs of reviews of access within `REVIEWED_WITHIN`, oldest first. Raises as `sign_offs`."""
    found = await sign_offs(dataclasses.replace(asked, start=asked.now - REVIEWED_WITHIN))
    return [each for each in found if each.what == _ACCESS_REVIEW]


async def access_reviewed(ground: Ground, _: str) -> Fact:
    """Somebody signed off a review of who may do what, within half a year."""
    found = await access_reviews(ground.asked)
    if not found:
        return Fact(False, f"nobody signed off `{_ACCESS_REVIEW}` within {REVIEWED_WITHIN.days} days")
    return Fact(True, f"{found[-1].who} signed off {found[-1].period} on {found[-1].at:%Y-%m-%d}")


def due(asked: Asked, kind: str) -> list[str]:
    """The days or weeks of the period that must have been signed off by now."""
    return periods(kind, start_of(asked), min(asked.end, asked.now - _GRACE))


async def review(ground: Ground, what: str) -> Fact:
    """Every day or week of the period was signed off by a named person, after it was over."""
    kind = WEEKLY if what == "weekly" else DAILY
    wanted = due(ground.asked, kind)
    if not wanted:
        return Fact(None, f"no {kind} period is over and due since {start_of(ground.asked):%Y-%m-%d}")
    signed = reviewed(kind, await ground.once("sign-offs", sign_offs))
    lacking = [each for each in wanted if each not in signed]
    listed = ", ".join(lacking[:5]) + (" …" if len(lacking) > 5 else "")  # noqa: PLR2004 - as many as are listed
    told = f"{len(wanted) - len(lacking)} of {len(wanted)} signed off ({wanted[0]} to {wanted[-1]})"
    return Fact(not lacking, f"{told}; nobody signed {listed}" if lacking else told)


async def access_recorded(ground: Ground, _: str) -> Fact:
    """What people do with Skytrail's commands arrives as records, and every record says how it ended."""
    asked, namespace = ground.asked, ground.asked.settings.audit.namespace
    span = (start_of(asked), asked.end)
    total = await count(asked.client, Query("*", namespace, FORMAT_NAME, *span))
    unknown = await count(asked.client, Query("event.outcome:unknown", namespace, FORMAT_NAME, *span))
    if not total:
        return Fact(None, "there is no record in the period: nobody did anything, or none arrived")
    return Fact(not unknown, f"{total:,} records in the period, {unknown:,} of them without a known end")


async def alerts_handled(ground: Ground, _: str) -> Fact:
    """No alert of the period is still open a day after it was raised."""
    asked = ground.asked
    end = min(asked.end, asked.now - _GRACE)
    total = waiting = 0
    query = Query("*", asked.namespace, None, start_of(asked), end, oldest_first=True)
    async with aclosing(alerts(asked.client, query, limit=None)) as found:
        async for alert in found:
            total += 1
            waiting += alert.status == "open"
    if not total:
        return Fact(None, "no alert of the period is older than a day")
    return Fact(not waiting, f"{total:,} alerts older than a day, {waiting:,} of them still open")


FACTS: Mapping[str, Measure] = {
    "review": review,
    "access-reviewed": access_reviewed,
    "access-recorded": access_recorded,
    "alerts-handled": alerts_handled,
}
