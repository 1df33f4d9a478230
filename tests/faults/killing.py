"""A collector that is killed while its cloud answers badly: what the sources of all clouds have in common."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from skytrail.offboarding.statement import COUNTS
from streams.accounts import read_compacted
from streams.source_watch import remembered
from streams.status import Status
from streams.topics import SOURCE_WATCH
from tests.faults.oracle import settled
from tests.faults.road import START_TIMEOUT_S, STOP_TIMEOUT_S, Road, spawn, told

BODIES = 40  # put before each start
FLOWING = 30  # put while it runs, until it is killed
EACH = 8  # records of a body
REPEATED = 5  # every so many bodies are put twice, as clouds do
_FAULT_SHOWS_S = 2.5  # every transport notes at least once a second what it acknowledged


class Filled(Protocol):
    """A transport, and a source into which something is put.

    Attributes:
        transport: Its name.
        format: Of what is put there.
    """

    transport: str
    format: str

    def records(self, rng: random.Random, count: int) -> Mapping[str, bytes]:
        """Records by their ids; about one in twenty matches a rule."""
        ...

    def settings(self, directory: Path) -> dict[str, Any]:
        """Settings of the transport; secrets go into files of the directory."""
        ...

    async def put(self, number: int, records: Sequence[bytes]) -> None:
        """Put records; `number` is different for each call."""
        ...


class Way(Filled, Protocol):
    """A source that a collector empties until it is stopped."""

    async def left(self) -> int:
        """How much of what was put is not acknowledged."""
        ...

    def trouble(self) -> None:
        """Let the services throttle, fail, repeat and lose answers for a while."""
        ...


@dataclass(slots=True)
class Collecting:
    """Collectors of one way, one after the other, on a road.

    Attributes:
        case: Tells the tests of one way apart.
    """

    road: Road
    way: Filled
    case: str = ""
    started: int = 0

    @property
    def namespace(self) -> str:
        return f"killed_{self.way.transport}{self.case}"

    @property
    def name(self) -> str:
        return f"source-{self.way.transport}{self.case}"

    def start(self, **changes: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        """Start the collector as an operator would, with changes of the settings per section."""
        name = f"collect-{self.way.transport}{self.case}-{self.started}"
        self.started += 1
        config = str(self.config(**changes))
        return spawn(["--config", config, "collect", self.name], self.road.directory / f"{name}.log")

    def said(self) -> str:
        """The end of what the last collector said."""
        log = self.road.directory / f"collect-{self.way.transport}{self.case}-{self.started - 1}.log"
        return log.read_text("utf-8", "replace")[-2000:]

    async def put(self, rng: random.Random, sent: set[str], bodies: int) -> None:
        """Put bodies at the source, and note the ids of their records."""
        for _ in range(bodies):
            records = self.way.records(rng, EACH)
            await self.way.put(len(sent) // EACH, list(records.values()))
            sent.update(records)

    async def offboarded(self) -> dict[str, Any]:
        """End the source as an operator would; what the command says.

        Raises:
            AssertionError: It did not exit with 0.
        """
        code, found, said = await asyncio.to_thread(told, self.config(), "offboard", self.name)
        assert code == 0, said
        stated: dict[str, Any] = found
        return stated

    def config(self, **changes: Mapping[str, Any]) -> Path:
        """The settings file of the next collector."""
        collector = {
            "transport": self.way.transport,
            "format": self.way.format,
            "namespace": self.namespace,
            self.way.transport: self.way.settings(self.road.directory),
        }
        return self.road.config(self.name, {"collectors": {self.name: collector}, **changes})


async def dies_with_its_hands_full(
    start: Callable[..., subprocess.Popen[bytes]], left: Callable[[], Awaitable[int]]
) -> None:
    """Kill a collector that has taken bodies which no broker has: it must not have acknowledged any.

    Args:
        start: Starts it with other settings of its Kafka.
        left: How much of what lies at the source is not acknowledged.

    Raises:
        AssertionError: It has.
    """
    there = await _resting(left)
    async with silent_broker() as (address, connected):
        collector = start(kafka={"bootstrap_servers": address})
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await connected.wait()
            await asyncio.sleep(_FAULT_SHOWS_S)
            now = await left()
            assert now == there, f"{there - now} of {there} are acknowledged, and no broker has them"
            assert collector.poll() is None, f"it ended with {collector.poll()}"
        finally:
            collector.kill()
            collector.wait()
    assert await left() == there, "something was acknowledged when it died"


async def _resting(left: Callable[[], Awaitable[int]]) -> int:
    """How much is left once that no longer grows: what was put may be announced a little later."""
    there = -1
    while (now := await left()) != there:
        there = now
        await asyncio.sleep(1)
    return there


@contextlib.asynccontextmanager
async def silent_broker() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Something that listens where Kafka should and says nothing: its address, and whether anybody has come."""
    connected = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                pass
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname()), connected


async def left_at_most(way: Way, limit: int) -> None:
    """Wait until no more than this is not acknowledged."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while (left := await way.left()) > limit:
        assert time.monotonic() < deadline, f"{left} are left, at most {limit} were to be"
        await asyncio.sleep(0.1)


async def arrived(road: Road, namespace: str, sent: set[str]) -> Status:
    """Wait until the road is at rest: everything that was put is there, by its id, once; some of it came twice.

    Raises:
        AssertionError: Something is lost, alien, refused or unaccounted for.
    """
    expected, status = await settled(road, namespace)
    lost, alien = sorted(sent - expected.uids), sorted(expected.uids - sent)
    assert not lost, f"{len(lost)} of {len(sent)} are lost: {lost[:3]}"
    assert not alien, f"{len(alien)} were never sent: {alien[:3]}"
    assert status.totals["duplicate"] > 0
    assert status.totals["dead_lettered"] == 0
    return status


async def delivers_every_record(road: Road, way: Way, *, offboard: bool = False, spools: bool = False) -> None:
    """Kill a collector amid troubles and let another one finish: nothing is lost, twice or unaccounted for.

    Args:
        road: It runs on.
        way: From where.
        spools: It also acknowledges what lies on its own disk, which `away.py` puts to the test.
        offboard: End the source for good, and hold what is stated against what there is; else the collector is stopped.

    Raises:
        AssertionError: Something is.
    """
    collecting = Collecting(road, way)
    rng = random.Random(11)
    sent: set[str] = set()
    await collecting.put(rng, sent, BODIES)
    if not spools:
        await dies_with_its_hands_full(collecting.start, way.left)
    there = await way.left()
    collector = collecting.start()
    await left_at_most(way, there - 1)
    way.trouble()
    for _ in range(FLOWING):  # so that it dies amid work, however fast it is
        await asyncio.sleep(0.03)
        await collecting.put(rng, sent, 1)
    collector.kill()
    collector.wait()
    assert await way.left() > 0
    await collecting.put(rng, sent, BODIES)
    collector = collecting.start()
    await left_at_most(way, 0)
    stated = await collecting.offboarded() if offboard else {}
    if not offboard:
        collector.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(collector.wait, STOP_TIMEOUT_S) == 0
    status = await arrived(road, collecting.namespace, sent)
    if offboard:
        agrees(stated, status, len(sent))
        memory = remembered(await read_compacted(road.settings.kafka, SOURCE_WATCH))
        assert collecting.name in memory.retired  # so its silence is no alert


def agrees(stated: Mapping[str, Any], status: Status, events: int) -> None:
    """Hold a final statement against the accounts and what was sent.

    Raises:
        AssertionError: It is not complete, or says something else.
    """
    statement = stated["statement"]
    (source,) = statement["sources"]
    assert (stated["complete"], stated["kept"]) == (True, True)
    assert {name: source[name] for name in COUNTS} == {name: status.totals[name] for name in COUNTS}
    assert source["indexed"] == events
    assert 0 < statement["ledger"]["size"] <= stated["entry"]["index"]
    assert statement["last_event"]["at"] <= statement["stated_at"]
