"""A collector that is killed while its cloud answers badly: what the sources of Azure and Google have in common."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from skytrail.offboarding.statement import COUNTS
from skytrail.settings import environment_without_settings
from streams.status import Status
from tests.faults.oracle import settled
from tests.faults.road import START_TIMEOUT_S, STOP_TIMEOUT_S, Road, spawn

BODIES = 40  # put before each start
FLOWING = 30  # put while it runs, until it is killed
EACH = 8  # records of a body
REPEATED = 5  # every so many bodies are put twice, as clouds do


class Way(Protocol):
    """A transport and its source.

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

    async def left(self) -> int:
        """How much of what was put is not acknowledged."""
        ...

    def trouble(self) -> None:
        """Let the services throttle, fail, repeat and lose answers for a while."""
        ...


@dataclass(slots=True)
class Collecting:
    """Collectors of one way, one after the other, on a road."""

    road: Road
    way: Way
    started: int = 0

    @property
    def namespace(self) -> str:
        return f"killed_{self.way.transport}"

    @property
    def name(self) -> str:
        return f"source-{self.way.transport}"

    def start(self) -> subprocess.Popen[bytes]:
        """Start the collector as an operator would."""
        name = f"collect-{self.way.transport}-{self.started}"
        self.started += 1
        return spawn(["--config", str(self._config()), "collect", self.name], self.road.directory / f"{name}.log")

    async def put(self, rng: random.Random, sent: set[str], bodies: int) -> None:
        """Put bodies at the source, and note the ids of their records."""
        for _ in range(bodies):
            records = self.way.records(rng, EACH)
            await self.way.put(len(sent) // EACH, list(records.values()))
            sent.update(records)

    async def left_at_most(self, limit: int) -> None:
        """Wait until no more than this is not acknowledged."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while (left := await self.way.left()) > limit:
            assert time.monotonic() < deadline, f"{left} are left, at most {limit} were to be"
            await asyncio.sleep(0.1)

    async def offboarded(self) -> dict[str, Any]:
        """End the source as an operator would; what the command says.

        Raises:
            AssertionError: It did not exit with 0.
        """
        command = [sys.executable, "-m", "skytrail", "--config", str(self._config())]
        ended = await asyncio.to_thread(
            subprocess.run,
            [*command, "offboard", self.name, "-o", "json"],
            env=environment_without_settings(),
            capture_output=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr.decode()
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    def _config(self) -> Path:
        collector = {
            "transport": self.way.transport,
            "format": self.way.format,
            "namespace": self.namespace,
            self.way.transport: self.way.settings(self.road.directory),
        }
        return self.road.config(self.name, {"collectors": {self.name: collector}})


async def delivers_every_record(road: Road, way: Way, *, offboard: bool = False) -> None:
    """Kill a collector amid troubles and let another one finish: nothing is lost, twice or unaccounted for.

    Args:
        road: It runs on.
        way: From where.
        offboard: End the source for good, and hold what is stated against what there is; else the collector is stopped.

    Raises:
        AssertionError: Something is.
    """
    collecting = Collecting(road, way)
    rng = random.Random(11)
    sent: set[str] = set()
    await collecting.put(rng, sent, BODIES)
    there = await way.left()
    collector = collecting.start()
    await collecting.left_at_most(there - 1)
    way.trouble()
    for _ in range(FLOWING):  # so that it dies amid work, however fast it is
        await asyncio.sleep(0.03)
        await collecting.put(rng, sent, 1)
    collector.kill()
    collector.wait()
    assert await way.left() > 0
    await collecting.put(rng, sent, BODIES)
    collector = collecting.start()
    await collecting.left_at_most(0)
    stated = await collecting.offboarded() if offboard else {}
    if not offboard:
        collector.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(collector.wait, STOP_TIMEOUT_S) == 0
    expected, status = await settled(road, collecting.namespace)
    lost, alien = sorted(sent - expected.uids), sorted(expected.uids - sent)
    assert not lost, f"{len(lost)} of {len(sent)} are lost: {lost[:3]}"
    assert not alien, f"{len(alien)} were never sent: {alien[:3]}"
    assert status.totals["duplicate"] > 0
    assert status.totals["dead_lettered"] == 0
    if offboard:
        _agrees(stated, status, len(sent))


def _agrees(stated: Mapping[str, Any], status: Status, events: int) -> None:
    """Hold a final statement against the accounts and what was sent."""
    statement = stated["statement"]
    (source,) = statement["sources"]
    assert (stated["complete"], stated["kept"]) == (True, True)
    assert {name: source[name] for name in COUNTS} == {name: status.totals[name] for name in COUNTS}
    assert source["indexed"] == events
    assert 0 < statement["ledger"]["size"] <= stated["entry"]["index"]
    assert statement["last_event"]["at"] <= statement["stated_at"]
