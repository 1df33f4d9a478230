"""`kill -9` at each step of a rotation on the real Elasticsearch: whatever was done, the next round ends the same.

Each run begins with the same archive and the same indices. By default it dies at every drop and every destruction, and
at every write of the first tombstone and the first receipt; with `--exhaustive` at every write there is. With fakes
every step is broken in tests/storage/retention/test_rotation_faults.py.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import signal
from collections.abc import Sequence

import pytest

from storage.retention.record import State
from storage.verify.archive import check
from storage.verify.findings import Grade
from tests.integration.dying_rotation import one_round
from tests.integration.test_retention import TOPIC, Scene, name, scene
from tests.integration.test_rotation import config, state_of

__all__ = ["scene"]
pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]
NEVER = 0
TOMBSTONES = 5
"""Of three indices and of two segments, each over on a day of its own."""


class Killing:
    """Copies of a scene, each for one round that dies."""

    def __init__(self, scene: Scene, engines) -> None:
        self.scene, self.engines, self.made = scene, engines, scene.root
        self.forks = multiprocessing.get_context("forkserver")
        self.forks.set_forkserver_preload(["tests.integration.dying_rotation"])

    async def begin(self, run: str) -> None:
        """The archive as it was made, and the documents that are missing of it."""
        root = self.made.parent / run
        await asyncio.to_thread(shutil.copytree, self.made / "archive", root / "archive")
        shutil.copytree(self.made / "keys", root / "keys")
        self.scene.moved_to(root)
        await self.scene.index()
        self.config = config(self.scene, self.engines)

    async def round(self, at: int, fault: str = "applied") -> list[str]:
        """A round in a process of its own; the steps that it took."""
        trace = self.scene.root / f"trace-{at}"
        trace.touch()
        process = self.forks.Process(target=one_round, args=(self.config, at, fault, trace))
        process.start()
        await asyncio.to_thread(process.join, 120)
        assert process.exitcode == (0 if at == NEVER else -signal.SIGKILL)
        return trace.read_text().splitlines()

    async def ended(self) -> None:
        """All that is over is gone once, lawfully, and nothing else is."""
        assert await self.scene.items(self.scene.clock.now) == {}
        state: State = state_of(self.scene)
        assert state.unfinished() == []
        assert len(state.tombstones) == len(state.receipts) == TOMBSTONES
        assert state.destroyed()[TOPIC, 0] == {0, 1}
        assert {stone.index for stone in state.tombstones.values() if stone.index} == {
            name(self.scene, day) for day in (20, 21, 22)
        }
        bodies = sorted((self.scene.root / "archive").rglob("*.ndz"))
        assert [path.name[:12] for path in bodies] == ["000000000002"]
        assert list(check(self.scene.root / "archive")) == []


def chosen(steps: Sequence[str], *, exhaustive: bool) -> list[int]:
    """Numbers of the steps, from 1, at which a run is to die."""
    acts = [number for number, step in enumerate(steps, 1) if step.startswith(("drop ", "destroy "))]
    assert len(acts) == 3 + 2 * 2
    if exhaustive:
        return list(range(1, len(steps) + 1))
    return sorted({*range(1, acts[1]), *acts})


async def test_killed_at_any_step_the_next_round_ends_the_same(scene: Scene, engines, request) -> None:
    killing = Killing(scene, engines)
    await killing.begin("whole")
    steps = await killing.round(NEVER)
    await killing.ended()
    for number in chosen(steps, exhaustive=request.config.getoption("--exhaustive")):
        fault = "lost" if number == 1 else "applied"  # elsewhere lost is what the step before leaves
        await killing.begin(f"{number}")
        taken = await killing.round(number, fault)
        assert len(taken) == number
        wrong = [each for each in check(scene.root / "archive") if each.grade is not Grade.INCOMPLETE]
        assert wrong == [], f"after step {number}, {steps[number - 1]}"
        await killing.round(NEVER)
        await killing.ended()
