"""`kill -9` of a receiver of syslog: what its spool has survives, and what a connection loses is its end."""

from __future__ import annotations

import asyncio
import random
import signal
import time

import pytest

from tests.faults.away import delivers_what_it_took_without_brokers, drained, states_what_it_took_without_brokers
from tests.faults.killing import BODIES, FLOWING, Collecting, delivers_every_record, left_at_most
from tests.faults.oracle import settled
from tests.faults.road import START_TIMEOUT_S, STOP_TIMEOUT_S, Road
from tests.faults.syslog_ways import SyslogWay

pytestmark = [pytest.mark.faults, pytest.mark.engines]


def way_of(road: Road, case: str, *, repeats: bool) -> SyslogWay:
    return SyslogWay(road, f"killed_syslog{case}", road.directory / "spool" / f"source-syslog{case}", repeats=repeats)


async def test_a_sender_that_writes_again_what_a_broken_connection_had_loses_nothing(road: Road) -> None:
    async with way_of(road, "", repeats=True).sending() as way:
        await delivers_every_record(road, way)
    assert sum(sender.cuts for sender in way.senders) == 0


async def test_what_was_written_without_brokers_survives_the_death_of_the_receiver(road: Road) -> None:
    async with way_of(road, "_away", repeats=True).sending() as way:
        await delivers_what_it_took_without_brokers(road, way, taken=way.unkept)


async def test_a_source_that_is_ended_after_its_receiver_died_states_what_was_written_without_brokers(
    road: Road,
) -> None:
    async with way_of(road, "_ended", repeats=True).sending() as way:
        await states_what_it_took_without_brokers(road, way, taken=way.unkept)


async def test_what_a_sender_without_memory_loses_is_the_end_of_what_a_dead_connection_had(road: Road) -> None:
    async with way_of(road, "_forgetful", repeats=False).sending() as way:
        collecting = Collecting(road, way, "_forgetful")
        rng = random.Random(23)
        sent: set[str] = set()
        await collecting.put(rng, sent, BODIES)
        collector = collecting.start()
        await left_at_most(way, len(sent) - 1)
        way.trouble()
        for _ in range(FLOWING):
            await asyncio.sleep(0.03)
            await collecting.put(rng, sent, 1)
        collector.kill()
        collector.wait()
        await asyncio.sleep(0.5)  # they notice
        kept = await way.spooled() | await way.indexed()
        await collecting.put(rng, sent, BODIES)
        collector = collecting.start()
        closed = await _closed(way)
        await drained(road.directory / "spool" / collecting.name)
        collector.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(collector.wait, STOP_TIMEOUT_S) == 0
    expected, status = await settled(road, collecting.namespace)
    assert kept | closed <= expected.uids <= sent
    assert status.totals["dead_lettered"] == 0
    for messages in (each for sender in way.senders for each in sender.written):
        there = [message in expected.uids for message in messages]
        assert there == sorted(there, reverse=True), "a message is lost, and a later one of its connection is not"


async def _closed(way: SyslogWay) -> set[str]:
    """Let the senders close their connections when they have written all; what the last ones had must arrive."""
    for sender in way.senders:
        sender.finish()
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        last = {message for sender in way.senders for message in sender.closed or ()}
        if all(sender.closed for sender in way.senders) and last <= await way.indexed():
            return last
        assert time.monotonic() < deadline, f"{len(last)} messages were to arrive"
        await asyncio.sleep(0.2)
