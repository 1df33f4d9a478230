"""Which offsets came within a time is not for the clocks of senders to say."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from ingest.kafka_client import client_options
from skytrail.connections import with_engines
from skytrail.settings import Settings
from streams.seen import read_spans
from streams.topic_admin import ensure_topics
from streams.topics import Topic

pytestmark = [pytest.mark.engines, pytest.mark.timeout(120)]
HOUR = dt.timedelta(hours=1)


async def test_a_sender_whose_clock_is_wrong_moves_no_border(engines, tmp_path: Path):
    bare = Settings.model_construct(state_dir=tmp_path).model_copy()
    kafka = with_engines(bare, engines).kafka.model_copy(update={"partitions": 1})
    topic = Topic(f"times.{uuid.uuid4().hex}")
    await ensure_topics(kafka, [topic])
    assert [each.state for each in await ensure_topics(kafka, [topic], apply=False)] == ["same"]
    now = dt.datetime.now(dt.UTC)
    producer = AIOKafkaProducer(**client_options(kafka))
    await producer.start()
    try:
        for clock in (now, now + 24 * HOUR, now, now - 24 * HOUR):
            await producer.send_and_wait(topic.name, b"x", partition=0, timestamp_ms=int(clock.timestamp() * 1000))
    finally:
        await producer.stop()
    place = topic.name, 0
    assert await read_spans(kafka, [topic.name], None, now + HOUR) == {place: (0, 4)}, "none of them came later"
    assert await read_spans(kafka, [topic.name], now - HOUR, now + HOUR) == {place: (0, 4)}
    assert await read_spans(kafka, [topic.name], now + HOUR, None) == {place: (4, 4)}, "nor will it"
