"""Decisions of people and counts of detection meet in one document, and neither undoes the other."""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import Any

import pytest

from detectors.triage import Change, ImpossibleChange
from ingest.schema.errors import IndexUnavailable
from storage.index.client import connect
from storage.index.triage import ATTEMPTS, Decided, decide
from tests.storage.index.fake_elasticsearch import FakeElasticsearch, serving

NOW = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
KEY = ("skytrail-alert-state", "a1")
CLOSE = Change("close", "bob", "the scanner", classification="false_positive")


def entries(**more: Any) -> dict[str, Any]:
    return {"skytrail": {"alert": {"count": 1, "status": "open", **more}}}


async def decided(fake: FakeElasticsearch, change: Change = CLOSE, alert_id: str = "a1") -> Decided:
    async with serving(fake) as settings:
        client = connect(settings, "analyst")
        try:
            return await decide(client, alert_id, change, NOW)
        finally:
            await client.close()


async def test_a_decision_is_written_and_the_rest_of_the_document_stays() -> None:
    fake = FakeElasticsearch(documents={KEY: {"message": "m", **entries()}})
    found = await decided(fake)
    alert = fake.documents[KEY]["skytrail"]["alert"]
    assert (found.changed, alert["status"], alert["count"], fake.documents[KEY]["message"]) == (True, "closed", 1, "m")
    assert alert["updated"] == "2026-11-22T10:00:00.000Z"


async def test_an_alert_that_grows_meanwhile_is_closed_with_its_new_count() -> None:
    growing = deque([entries(count=n) for n in (2, 3)])
    for growth in growing:
        del growth["skytrail"]["alert"]["status"]
    fake = FakeElasticsearch(documents={KEY: entries()}, meanwhile=growing)
    found = await decided(fake)
    alert = fake.documents[KEY]["skytrail"]["alert"]
    assert (alert["status"], alert["count"], found.entries["count"]) == ("closed", 3, 3)


async def test_of_two_people_who_decide_at_once_the_later_is_refused_and_told_who_was_first() -> None:
    first = {"status": "closed", "history": [{"by": "carol", "action": "close"}]}
    fake = FakeElasticsearch(documents={KEY: entries()}, meanwhile=deque([{"skytrail": {"alert": first}}]))
    with pytest.raises(ImpossibleChange, match=r"carol \(close\); it is closed now"):
        await decided(fake)
    assert fake.documents[KEY]["skytrail"]["alert"]["history"] == [{"by": "carol", "action": "close"}]


async def test_what_changes_nothing_is_not_written() -> None:
    fake = FakeElasticsearch(documents={KEY: entries(owner="bob")})
    assert not (await decided(fake, Change("assign", "x", owner="bob"))).changed
    assert fake.versions == {}


async def test_an_unknown_alert_is_said_to_be_unknown() -> None:
    with pytest.raises(ImpossibleChange, match="no such alert"):
        await decided(FakeElasticsearch(), alert_id="zz")


async def test_an_alert_that_never_rests_is_given_up_with_a_word() -> None:
    growth = [{"skytrail": {"alert": {"count": n}}} for n in range(ATTEMPTS + 1)]
    with pytest.raises(IndexUnavailable, match="its count changed"):
        await decided(FakeElasticsearch(documents={KEY: entries()}, meanwhile=deque(growth)))
