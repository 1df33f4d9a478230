"""Topics as a source, proven on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skytrail.local.engines import EngineState
from tests.ingest.transports.contract import opened, pull
from tests.ingest.transports.kafka.topic import Topic
from tests.skytrail.onboarding.checks.proofs import proof, states

pytestmark = pytest.mark.engines
ALL = ("brokers", "topics", "consumer group", "messages")


@pytest.fixture
async def topic(engines: EngineState, tmp_path: Path) -> AsyncIterator[Topic]:
    topic = Topic(engines, tmp_path)
    await topic.create()
    yield topic
    await topic.drop()


async def test_a_topic_is_proven_with_how_far_its_collector_is_behind(topic: Topic) -> None:
    assert states(await proof("kafka", topic.settings())) == dict(
        zip(ALL, ("ok", "warn", "ok", "skipped"), strict=True)
    )
    await topic.send([b"1", b"2", b"3"])
    async with opened(topic) as (_, iterator):
        (first,) = await pull(iterator, 1)
        await first.acknowledge()
        await asyncio.sleep(0.5)
        found = await proof("kafka", topic.settings())  # while a collector reads
    assert states(found) == dict.fromkeys(ALL, "ok")
    assert found["topics"].found.endswith("1 partitions, 3 messages")
    assert "messages behind" in found["consumer group"].found


async def test_a_topic_that_is_missing_and_a_password_that_is_wrong_are_named(topic: Topic) -> None:
    found = await proof("kafka", topic.settings(topics=["nowhere"]))
    assert states(found) == dict(zip(ALL, ("ok", "fail", "skipped", "skipped"), strict=True))
    wrong = topic.directory / "wrong"
    wrong.write_text("not the password")
    found = await proof("kafka", topic.settings(password_file=wrong))
    assert states(found) == dict(zip(ALL, ("fail", "skipped", "skipped", "skipped"), strict=True))
    assert "password_file" in found["brokers"].mend
