"""`kill -9` at each step of `erase apply` on the real Elasticsearch: the same command again ends it the same.

A step is every write and deletion in the archive, the ledger and the table of keys, and every few documents. Whatever
was done, no key goes before the signed entry is published, and no document before the key.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from skytrail.settings import load
from storage.ledger.key_history import shreds_anywhere
from tests.integration.dying_erasure import apply
from tests.integration.test_erase import Scene, scene
from tests.storage.archive.people import ANN, BOB
from tests.storage.archive.samples import open_store

__all__ = ["scene"]
pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]
NEVER = 0
DOCUMENTS = 13
"""Of ann: twelve events and an alert."""


class Killing:
    """Copies of a scene, each for one run that dies."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.made = scene, scene.root
        self.request = scene.request("bob")
        self.before = asyncio.run(scene.documents())
        self.forks = multiprocessing.get_context("forkserver")
        self.forks.set_forkserver_preload(["tests.integration.dying_erasure"])

    def begin(self, run: str) -> None:
        """Everything as it was before: archive, keys, and the documents."""
        root = self.made.parent / f"run-{run}"
        shutil.copytree(self.made, root)
        told = msgspec.toml.decode((root / "skytrail.toml").read_bytes())
        (root / "skytrail.toml").write_bytes(msgspec.toml.encode(told | {"state_dir": str(root)}))
        self.scene.root, self.scene.file = root, root / "skytrail.toml"
        self.scene.settings = load(self.scene.file)
        self.request = str(root / Path(self.request).name)
        asyncio.run(self.scene.clear())
        asyncio.run(self.scene.index())

    def run(self, at: int, fault: str = "applied") -> list[str]:
        """The command in a process of its own; the steps that it took."""
        trace = self.scene.root / f"trace-{at}"
        trace.touch()
        command = ("--config", str(self.scene.file), "erase", "apply", self.request, ANN, "-n", self.scene.namespace)
        process = self.forks.Process(target=apply, args=(command, at, fault, trace))
        process.start()
        process.join(120)
        assert process.exitcode == (0 if at == NEVER else -signal.SIGKILL), trace.read_text()
        return trace.read_text().splitlines()

    def entries(self) -> int:
        return len(shreds_anywhere(open_store(self.scene.root / "archive"), self.scene.namespace))

    def never_too_early(self) -> None:
        """No key without its entry, no document without its key."""
        present = bool(self.scene.keys().of_subject(self.scene.namespace, ANN))
        documents = asyncio.run(self.scene.documents()).get(ANN, 0)
        assert present or self.entries() == 1
        assert documents == DOCUMENTS or not present
        assert self.scene.verified()[1] <= {"ERASED", "KEPT", "UNCHECKED"}

    def ended(self) -> None:
        """Ann is gone everywhere once and lawfully, nothing is left beside, and everybody else is there."""
        assert self.entries() == 1
        assert self.scene.keys().of_subject(self.scene.namespace, ANN) == []
        assert len(self.scene.keys().of_subject(self.scene.namespace, BOB)) == 1
        after = asyncio.run(self.scene.documents())
        assert after == {who: count for who, count in self.before.items() if who != ANN}
        assert self.scene.verified() == (0, {"ERASED"})
        assert self.scene.compared() == []
        table = self.scene.root / "datakeys" / "subjects"
        assert list((table / self.scene.namespace).glob("closed/*")) == []
        assert list((table / ".staging").iterdir()) == []


def of(steps: Sequence[str], start: str) -> list[int]:
    """The numbers of the steps that begin so."""
    return [number for number, step in enumerate(steps, 1) if step.startswith(start)]


def test_killed_at_any_step_the_same_command_ends_it_the_same(scene: Scene) -> None:
    killing = Killing(scene)
    killing.begin("whole")
    steps = killing.run(NEVER)
    killing.ended()
    closed, destroyed, documents = of(steps, "put subjects"), of(steps, "delete subjects"), of(steps, "bulk")
    assert len(closed) == 1
    assert len(documents) == 3
    assert of(steps, "swap archive")[0] < closed[0] < of(steps, "sweep")[0] < destroyed[0] < documents[0]
    for number in range(1, len(steps) + 1):
        fault = "lost" if number == 1 else "applied"  # elsewhere lost is what the step before leaves
        killing.begin(str(number))
        taken = killing.run(number, fault)
        assert len(taken) == number
        killing.never_too_early()
        killing.run(NEVER)
        killing.ended()
