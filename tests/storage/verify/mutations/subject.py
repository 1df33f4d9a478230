"""The archive that is spoilt: one of everything that an archive can hold, and an auditor who pinned what he can."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from storage.archive.objects import put_object
from storage.ledger.signing import NoteSigner
from storage.verify.archive import examine
from storage.verify.findings import Finding, Summary
from storage.verify.ledger.entries import StreamId
from storage.verify.ledger.notes import parse_checkpoint
from storage.verify.ledger.pins import Pins
from storage.verify.scope import Scope
from tests.storage.archive.samples import TOPIC
from tests.storage.verify.ledger.samples import writable
from tests.storage.verify.ledger.scene import Scene
from tests.storage.verify.mutations.memory import Memory

STREAM: StreamId = (TOPIC, 0)
SEG = f"acme/seg/{TOPIC}/0/"
LOG = "acme/log/1/"
ANCHOR = "acme/anchor/1/"


@dataclass(frozen=True, slots=True)
class Subject:
    """A clean archive, what its auditor pinned, and the time at which he looks.

    Attributes:
        pins: Key of the log, both witnesses, root of the authority; no checkpoint.
        earlier: The same archive before its keys changed, one segment shorter.
        signers: The private keys that sign the log now.
    """

    archive: Memory
    pins: Pins
    now: dt.datetime
    earlier: Memory
    signers: tuple[NoteSigner, ...]

    def findings(self, archive: Memory, pins: Pins | None = None) -> tuple[list[Finding], Summary]:
        """What the verifier says of an archive."""
        summary = Summary()
        scope = Scope(pins=pins or self.pins, now=self.now)
        return list(examine(archive, scope, summary)), summary

    def keeping(self, *kept: bytes) -> Pins:
        """The pins of an auditor who also kept checkpoints."""
        return dataclasses.replace(self.pins, checkpoints=tuple(("kept", parse_checkpoint(raw)) for raw in kept))


async def _made(root: Path) -> tuple[Scene, Memory]:
    """Three segments, a heartbeat, a change of keys, a whole object; cosigned and stamped."""
    scene = Scene(root)
    await scene.work(0, 4)
    scene.made.clock.pass_(59)
    scene.notary.tell_idle(scene.chains())
    await scene.look()
    await scene.work(4, 9)
    put_object(scene.made.store, "acme", b"a huge record")
    writable(scene.made.root)
    for other in ("globex", "unreadable"):
        shutil.rmtree(scene.made.root / other, ignore_errors=True)
    earlier = Memory.of(scene.made.root)
    scene.made.keys.add(scene.made.clock(), not_before=scene.made.clock(), days=300)
    await scene.work(9, 13)
    scene.made.clock.pass_(59)
    scene.notary.tell_idle(scene.chains())
    await scene.look()
    for other in ("globex", "unreadable"):
        shutil.rmtree(scene.made.root / other, ignore_errors=True)
    return scene, earlier


@functools.cache
def subject() -> Subject:
    """Made once per process."""
    with tempfile.TemporaryDirectory() as folder:
        scene, earlier = asyncio.run(_made(Path(folder)))
        now = scene.made.clock()
        signers = tuple(scene.made.keys.newest(now).signers(scene.made.origin()))
        return Subject(Memory.of(scene.made.root), scene.pins, now, earlier, signers)
