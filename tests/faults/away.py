"""An endpoint that takes what is sent while the brokers are away, and is killed before they come back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from skytrail.cli.exits import Exit
from skytrail.local import engines as local
from tests.faults.killing import BODIES, Collecting, Way, agrees, arrived, left_at_most
from tests.faults.road import START_TIMEOUT_S, STOP_TIMEOUT_S, Road, ran

CASE = "_away"
ENDED = "_ended"


def spool_of(road: Road, collecting: Collecting) -> Path:
    """Where a collector keeps what the brokers do not have."""
    return road.directory / "spool" / collecting.name


async def delivers_what_it_took_without_brokers(road: Road, way: Way, taken: Callable[[], Awaitable[int]]) -> None:
    """Take the brokers away, kill the collector once it has everything, and let the next one deliver it.

    Args:
        road: It runs on.
        way: Whose sender gives up nothing that was taken.
        taken: How much of what was put the sender still has to send.

    Raises:
        AssertionError: Something is lost, twice or unaccounted for.
    """
    collecting = Collecting(road, way, CASE)
    rng = random.Random(17)
    sent = await _dies_with_a_spool(collecting, way, rng, taken, _nothing)
    collector = collecting.start()
    await collecting.put(rng, sent, 2)
    await left_at_most(way, 0)
    await drained(spool_of(road, collecting))
    collector.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(collector.wait, STOP_TIMEOUT_S) == 0
    await arrived(road, collecting.namespace, sent)


async def states_what_it_took_without_brokers(road: Road, way: Way, taken: Callable[[], Awaitable[int]]) -> None:
    """The same, and no collector comes after: whoever ends the source for good has what was taken in the statement.

    Tried while the brokers are away, too: that states nothing and loses nothing.

    Raises:
        AssertionError: Something is lost or twice, or the statement does not tell what there is.
    """
    collecting = Collecting(road, way, ENDED)

    async def too_early() -> None:
        words = ("offboard", collecting.name, "--wait", "2")
        code, _, said = await asyncio.to_thread(ran, collecting.config(), *words)
        assert code == Exit.CONFIG, said
        assert "bodies lie in its spool" in said
        assert "error: BrokerUnavailable" in said
        assert any(spool_of(road, collecting).glob("*.spool"))

    sent = await _dies_with_a_spool(collecting, way, random.Random(19), taken, too_early)
    stated = await collecting.offboarded()
    assert not any(spool_of(road, collecting).glob("*.spool")), collecting.said()
    agrees(stated, await arrived(road, collecting.namespace, sent), len(sent))
    again = await collecting.offboarded()
    assert (again["statement"], again["wrong"]) == (stated["statement"], [])
    late = collecting.start()
    assert await asyncio.to_thread(late.wait, START_TIMEOUT_S) != 0
    assert "it was offboarded" in collecting.said()


async def _dies_with_a_spool(
    collecting: Collecting,
    way: Way,
    rng: random.Random,
    taken: Callable[[], Awaitable[int]],
    meanwhile: Callable[[], Awaitable[None]],
) -> set[str]:
    """Let a collector take bodies while no broker is there, and kill it; the ids of the records."""
    road = collecting.road
    sent: set[str] = set()
    collector = collecting.start()
    await collecting.put(rng, sent, 2)
    await left_at_most(way, 0)
    local.kill(road.state.home, "kafka", signal.SIGKILL)
    try:
        await collecting.put(rng, sent, BODIES)
        await _none(taken)
        assert collector.poll() is None, collecting.said()
        collector.kill()
        collector.wait()
        await meanwhile()
    finally:
        await asyncio.to_thread(local.start_one, road.state.home, "kafka")
    assert any(spool_of(road, collecting).glob("*.spool"))
    return sent


async def drained(spool: Path) -> None:
    """Wait until nothing waits in a spool: its segments are gone."""
    with contextlib.suppress(FileNotFoundError):
        await _none(lambda: asyncio.to_thread(lambda: len(list(spool.glob("*.spool")))))


async def _nothing() -> None:
    """What is done while the brokers are away, where nothing is."""


async def _none(left: Callable[[], Awaitable[int]]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while found := await left():
        assert time.monotonic() < deadline, f"{found} are left"
        await asyncio.sleep(0.2)
