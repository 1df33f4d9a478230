"""A listing that is killed again and again goes on where it was, meets nothing twice unnoticed, and ends by itself."""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from typing import Protocol

from tests.faults.killing import EACH, Collecting, Filled, arrived, dies_with_its_hands_full
from tests.faults.road import START_TIMEOUT_S, Road
from tests.ingest.transports.aws.faulty import Fault, Faulty

OBJECTS = 40  # there before the first start
KILLED_AT = (12, 27)  # the object that can't be read yet when the collector is killed
KEPT = 6  # an object that was done long before the last kill
AGAIN = (0, 1, 2)  # objects that are put once more after they were read
_OFTEN = 1_000_000


class Listed(Filled, Protocol):
    """A bucket that is listed once; `put` writes the object of a number, later numbers come later in the listing.

    Attributes:
        proxy: Before its cloud.
    """

    proxy: Faulty

    def done(self) -> int:
        """Objects that the checkpoint says are done."""
        ...

    def unreadable(self, number: int) -> Fault:
        """What the cloud answers as long as it can't give one object."""
        ...

    def trouble(self) -> None:
        """Let the cloud throttle, fail and lose answers for a while."""
        ...


async def goes_on_and_ends(road: Road, way: Listed) -> None:
    """Kill a listing amid an object, twice, and let a third run end by itself; a fourth one finds what was put since.

    Raises:
        AssertionError: Something is lost, was read again for nothing, or is unaccounted for.
    """
    collecting = Collecting(road, way)
    rng = random.Random(13)
    sent: set[str] = set()
    bodies: list[list[bytes]] = []

    async def put(count: int) -> None:
        for _ in range(count):
            records = way.records(rng, EACH)
            bodies.append(list(records.values()))
            await way.put(len(bodies) - 1, bodies[-1])
            sent.update(records)

    await put(OBJECTS)
    await dies_with_its_hands_full(collecting.start, lambda: asyncio.to_thread(lambda: OBJECTS - way.done()))
    way.trouble()
    for number in KILLED_AT:
        held = way.unreadable(number)
        held.times = _OFTEN
        way.proxy.faults.insert(0, held)
        collector = collecting.start()
        await _done(way, number, collector)
        collector.kill()
        collector.wait()
        held.times = 0
    for number in AGAIN:
        await way.put(number, bodies[number])
    await put(OBJECTS // 4)
    before = way.proxy.asked(way.unreadable(KEPT).asks)
    await _ends(collecting)
    assert way.proxy.asked(way.unreadable(KEPT).asks) == before > 0
    assert [fault for fault in way.proxy.faults if fault.times] == []
    await put(OBJECTS // 4)
    await _ends(collecting)
    await arrived(road, collecting.namespace, sent)


async def _done(way: Listed, number: int, collector: subprocess.Popen[bytes]) -> None:
    """Wait until everything before an object is done; the collector must still be at work then."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while way.done() < number:
        assert collector.poll() is None, "the collector ended amid the listing"
        assert time.monotonic() < deadline, f"{way.done()} objects are done, {number} were to be"
        await asyncio.sleep(0.1)
    assert way.done() == number
    assert collector.poll() is None


async def _ends(collecting: Collecting) -> None:
    """Run a collector to the end of what it lists: it ends by itself, and well."""
    collector = collecting.start()
    assert await asyncio.to_thread(collector.wait, START_TIMEOUT_S) == 0, collecting.said()
