"""Messages that no worker can read, in every topic that workers read."""

from __future__ import annotations

import datetime as dt
import random

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from ingest.formats.registry import all_formats
from ingest.kafka_client import client_options
from ingest.schema import envelope as wire
from streams.dead_letters import read_letters
from streams.status import read_status
from streams.topics import CONFLICTS, DEAD_LETTERS, DETECTIONS, raw_topic
from tests.faults.material import CLOUDTRAIL, cloudtrail, envelopes, header
from tests.faults.oracle import settled
from tests.faults.road import Road

pytestmark = [pytest.mark.faults, pytest.mark.engines]
NAMESPACE = "poison"


def unreadable() -> list[bytes]:
    """Values of a raw topic that are no envelope of ours, or not one that anybody can own."""
    record = b'{"eventID":"1"}'
    named = header(NAMESPACE, CLOUDTRAIL)
    foreign = [msgspec.structs.replace(named, namespace=name) for name in ("../up", "UPPER", "a|b", "unreadable", "")]
    return [
        b"",
        b"\x00garbage",
        b"\x01\xff\xff\xff",
        b"\x07" + wire.encode(wire.Envelope(header=named, records=(record,)))[1:],
        wire.encode(wire.Envelope(header=named, records=(record,)))[:-3],
        b"\x01" + msgspec.msgpack.encode([[[[]]]] * 200),
        wire.encode(wire.Envelope(header=named, records=())),
        *(wire.encode(wire.Envelope(header=each, records=(record,))) for each in foreign),
    ]


async def test_a_poison_message_in_any_topic_harms_no_worker_and_no_neighbour(road: Road) -> None:
    before = await read_status(road.settings.kafka, list(all_formats()), "unreadable")
    events = list(envelopes(NAMESPACE, CLOUDTRAIL, cloudtrail(random.Random(4), 600, dt.datetime.now(dt.UTC))))
    poison = unreadable()
    unknown = wire.encode(wire.Envelope(header=header(NAMESPACE, "no.such"), records=(b"{}", b"[]", b"x")))
    producer = AIOKafkaProducer(**client_options(road.settings.kafka), enable_idempotence=True)
    await producer.start()
    try:
        for event, value in zip(events, [*poison, unknown] * 2, strict=False):
            await producer.send_and_wait(raw_topic(CLOUDTRAIL), wire.encode(event), partition=0)
            await producer.send_and_wait(raw_topic(CLOUDTRAIL), value, partition=0)
        for topic in (DETECTIONS, DEAD_LETTERS, CONFLICTS):
            for value in (b"", b"\x09nothing", b"\x01\xc1", b"\xff" * 100):
                await producer.send_and_wait(topic, value, partition=1)
    finally:
        await producer.stop()
    pairs = min(len(events), 2 * (len(poison) + 1))
    unknowns = sum((at + 1) % (len(poison) + 1) == 0 for at in range(pairs))
    expected, _ = await settled(road, NAMESPACE)
    assert expected.refused == 3 * unknowns
    after = await read_status(road.settings.kafka, list(all_formats()), "unreadable")
    for name in ("received", "dead_lettered", "sealed", "evaluated"):
        assert after.totals[name] - before.totals[name] == pairs - unknowns
    assert after.totals["residue"] == 0
    assert [r.process.poll() for running in road.roles.values() for r in running] == [None] * 3
    bodies = [letter.body async for letter in read_letters(road.settings.kafka, lambda *_: None)]
    assert set(poison) <= set(bodies)
    assert {b"{}", b"[]", b"x"} <= set(bodies)
