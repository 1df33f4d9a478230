"""Logs, keys and entries for the tests of the ledger."""

from __future__ import annotations

import datetime as dt
import functools
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from storage.archive.manifest import canonical, digest, instant
from storage.archive.store import ArchiveStore
from storage.ledger.entries import Tips
from storage.ledger.keyring import KeyRing
from storage.ledger.log import Log, LogIdentity
from tests.storage.archive.samples import START, Clock, open_store

TOPIC = "skytrail.raw.aws.cloudtrail.v1"
SETTINGS = {"heartbeat_interval_s": 60, "quorum": 0}


@functools.cache
def _made_keys() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="skytrail-test-keys-"))
    KeyRing(directory / "keys.json").add_first(START - dt.timedelta(days=1), days=366)
    return directory


def keys_in(directory: Path) -> KeyRing:
    """A keys file of its own with one valid pair; making a pair is slow, so they are all copies of one."""
    target = directory / "keys"
    if not target.exists():
        shutil.copytree(_made_keys(), target)
    return KeyRing(target / "keys.json")


def segments(count: int, partition: int = 0) -> list[bytes]:
    """A chain of segment entries, three offsets each; only what the ledger looks at."""
    chain: list[bytes] = []
    for seq in range(count):
        chain.append(
            canonical(
                {
                    "v": 1,
                    "type": "segment",
                    "namespace": "acme",
                    "stream": {"topic": TOPIC, "partition": partition},
                    "seq": seq,
                    "covers": {"first_offset": 3 * seq, "last_offset": 3 * seq + 2},
                    "previous": digest(chain[-1]) if chain else None,
                    "sealed_at": instant(START + dt.timedelta(seconds=seq)),
                }
            )
        )
    return chain


def missing(chain: Sequence[bytes], tips: Tips, partition: int = 0, batch: int = 256) -> list[bytes]:
    """The next entries of a chain that a log lacks."""
    tip = tips.get((TOPIC, partition))
    start = 0 if tip is None else tip.seq + 1
    return list(chain[start : start + batch])


def open_log(root: Path, store: ArchiveStore | None = None, **changes: object) -> Log:
    """A log of the namespace acme below `root`."""
    identity = LogIdentity(
        organisation="logs.example.org",
        epoch=int(str(changes.get("epoch", 1))),
        namespace="acme",
        settings=changes.get("settings", SETTINGS),  # type: ignore[arg-type]
    )
    clock = changes.get("clock", Clock())
    archive = store or open_store(root / "archive", allow_delete=True)
    return Log(archive, identity, keys_in(root), clock)  # type: ignore[arg-type]


def place(root: Path, epoch: int = 1) -> Path:
    """Where the files of that log lie."""
    return root / "archive" / "acme" / "log" / str(epoch)
