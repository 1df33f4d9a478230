"""A source stops: an alert says so, names the blind rules, survives the death of the watching worker, and ends."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
from typing import Any

import pytest

from storage.index.client import connect
from tests.faults.material import AUDIT, audit, envelopes
from tests.faults.road import Road, publish, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.engines]
NAMESPACE = "silent"
WATCH = {"look_interval_s": 1, "minimum_silence_s": 4, "unlearned_silence_s": 4}


async def alerts(road: Road) -> list[dict[str, Any]]:
    """The alerts of the watch over sources."""
    client = connect(road.settings.elasticsearch, "reader")
    try:
        await client.indices.refresh(index="logs-skytrail.alert-*", allow_no_indices=True)
        found = await client.search(
            index="logs-skytrail.alert-*",
            query={
                "bool": {
                    "filter": [
                        {"prefix": {"rule.id": "skytrail-source"}},
                        {"term": {"data_stream.namespace": NAMESPACE}},
                    ]
                }
            },
            sort=[{"event.created": "asc"}],
        )
    finally:
        await client.close()
    return [hit["_source"] for hit in found["hits"]["hits"]]


async def waited_for(road: Road, number: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while len(found := await alerts(road)) < number:
        assert time.monotonic() < deadline, road.roles["detect"][0].tail()
        await asyncio.sleep(0.5)
    return found


async def test_a_silent_source_is_an_alert_with_its_end_wherever_the_watching_worker_dies(road: Road) -> None:
    road.end("detect", road.roles["detect"][0])
    road.start("detect", watch=WATCH)
    wait_for(lambda: road.roles["detect"][0].said("worker started"), "the watching worker is up")
    records = audit(random.Random(5), 40, dt.datetime.now(dt.UTC))
    await publish(road, list(envelopes(NAMESPACE, AUDIT, records[:20])))
    (silent,) = await waited_for(road, 1)
    assert silent["rule"]["id"] == "skytrail-source-silent"
    assert "rules are blind meanwhile: " in silent["event"]["reason"]
    road.kill("detect")
    road.start("detect", watch=WATCH)
    wait_for(lambda: road.roles["detect"][0].said("worker started"), "its successor is up")
    await publish(road, list(envelopes(NAMESPACE, AUDIT, records[20:])))
    first, back, *more = await waited_for(road, 2)
    assert (first, back["rule"]["id"]) == (silent, "skytrail-source-recovered")
    assert [alert["rule"]["id"] for alert in more] in ([], ["skytrail-source-silent"])  # it stops again afterwards
