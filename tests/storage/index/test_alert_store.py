"""Alerts are written once; their state grows without touching what people decided."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import deque

import pytest

from storage.index.alert_store import AlertDocument, AlertGrowth, AlertStore
from storage.index.client import connect
from storage.index.writer import Writer
from tests.storage.index.fake_elasticsearch import FakeElasticsearch, serving

OPENED = dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)


def growth(count: int, id_: str = "a1", **more: object) -> AlertGrowth:
    state = {"skytrail": {"alert": {"count": count, "status": "open"}}}
    return AlertGrowth(id_, state, {"skytrail": {"alert": {"count": count, **more}}})


@pytest.mark.parametrize("fault", [None, "lost", "applied", 429, 503, 403])
async def test_an_alert_is_there_once_whatever_breaks(fault) -> None:
    fake = FakeElasticsearch(faults=deque([fault] if fault else []))
    async with serving(fake) as settings:
        client = connect(settings, "alerter")
        store = AlertStore(Writer(client, sleep=lambda _: asyncio.sleep(0)), {})
        alert = AlertDocument("a1", "default", OPENED, {"message": "x"})
        first = await store.add([alert])
        again = await store.add([alert])
        await client.close()
    assert list(fake.documents) == [("logs-skytrail.alert-default-2026.11", "a1")]
    assert first.created + first.uncertain == [0]
    assert again.duplicate == [0]


@pytest.mark.parametrize("fault", [None, "lost", "applied", 429, 503])
async def test_the_last_of_several_counts_is_what_is_stored(fault) -> None:
    fake = FakeElasticsearch(faults=deque([fault] if fault else []))
    async with serving(fake) as settings:
        client = connect(settings, "alerter")
        store = AlertStore(Writer(client, sleep=lambda _: asyncio.sleep(0)), {})
        await store.grow([growth(1), growth(2), growth(1, "b")])
        await store.grow([growth(3)])
        await client.close()
    assert fake.documents[("skytrail-alert-state", "a1")]["skytrail"]["alert"]["count"] == 3
    assert len(fake.documents) == 2


async def test_a_growth_that_would_overwrite_a_decision_is_refused() -> None:
    async with serving(FakeElasticsearch()) as settings:
        client = connect(settings, "alerter")
        with pytest.raises(ValueError, match="would overwrite status"):
            await AlertStore(Writer(client), {}).grow([growth(2, status="closed")])
        await client.close()


def test_the_index_of_an_alert_follows_from_what_opened_it() -> None:
    store = AlertStore(Writer.__new__(Writer), {"skytrail.alert": "day"})
    assert store.index_of("red", OPENED) == "logs-skytrail.alert-red-2026.11.22"
