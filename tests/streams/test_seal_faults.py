"""The whole way of the seal role, archive, ledger, account and offset: each step fails, or the process is killed at it.

In `test_seal` the role dies at every change of the store and of Kafka. Here the store answers an error at every
operation, reading ones too, and the role goes on; and a real process is ended by SIGKILL at every step of the disk.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.backoff import Backoff
from ingest.schema.envelope import encode, pack
from ingest.schema.errors import StoreUnavailable
from storage.archive.reader import ArchiveReader
from storage.archive.store import ArchiveStore
from storage.archive.stores.filesystem import FilesystemStore
from storage.verify.archive import check
from streams.agents import seal as seal_agent
from tests.faults.material import CLOUDTRAIL, header
from tests.storage.archive.faults import Fault, FaultyStore
from tests.storage.ledger.oracle import ledgers_tell_of_every_segment
from tests.streams.fakes import Brokers
from tests.streams.test_seal import RAW, seal_life

SAMPLED = 5
"""Of so many steps of the disk one is taken; all of them with `--exhaustive`."""
NAMESPACES = ("acme", "beta")
RECORDS = [[b"%d-%d" % (number, index) for index in range(number % 3 + 1)] for number in range(4)]


def filled() -> Brokers:
    """Four messages of two namespaces in one partition."""
    brokers = Brokers()
    for number, records in enumerate(RECORDS):
        brokers.append(RAW, (None, encode(pack(header(NAMESPACES[number % 2], CLOUDTRAIL), records)[0]), 0))
    return brokers


def unsynced(directory: Path, fsync: Callable[[int], None] = lambda _: None) -> FilesystemStore:
    return FilesystemStore(directory, allow_delete=True, fsync=fsync)


def seal(brokers: Brokers, store: ArchiveStore) -> None:
    """One life of the role: two batches."""
    asyncio.run(seal_life(brokers, store, RAW, 2))


def assert_whole(directory: Path, brokers: Brokers) -> None:
    """Nothing is missing or doubled, log and archive agree, and every message is counted once and acknowledged."""
    assert list(check(directory)) == []
    ledgers = ledgers_tell_of_every_segment(directory)
    assert set(ledgers) == set(NAMESPACES)
    reader = ArchiveReader(unsynced(directory))
    found = [
        (record.position.offset, record.position.index, record.body)
        for namespace in NAMESPACES
        for record in reader.records(namespace)
    ]
    expected = [(n, i, body) for n, records in enumerate(RECORDS) for i, body in enumerate(records)]
    assert sorted(found) == expected
    (account,) = brokers.accounts()
    assert account.next_offset == len(RECORDS) == brokers.committed["seal", RAW, 0]
    assert sum(counts["sealed"] for counts in account.sources.values()) == len(expected)


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_store_that_fails_once_at_any_operation_costs_and_doubles_nothing(
    tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal_agent, "Backoff", functools.partial(Backoff, first_s=0.0))
    faulty = FaultyStore(unsynced(tmp_path / "whole"), -1, fault)
    seal(brokers := filled(), faulty)
    assert_whole(tmp_path / "whole", brokers)
    assert faulty.operations > 60
    for at in range(faulty.operations):
        directory = tmp_path / str(at)
        store = FaultyStore(unsynced(directory), at, fault, StoreUnavailable)
        seal(brokers := filled(), store)
        assert store.operations > at
        assert_whole(directory, brokers)


def killed_at(directory: Path, step: int) -> bool:
    """A process that seals and is killed at a step of the disk; False if it came to its end."""
    child = os.fork()
    if child == 0:
        left = iter(range(step))

        def fsync(_: int) -> None:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            seal(filled(), unsynced(directory, fsync))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def test_a_process_killed_at_any_step_of_the_disk_leaves_what_the_next_one_completes(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    steps: list[int] = []
    seal(filled(), unsynced(tmp_path / "whole", steps.append))
    assert len(steps) > 100
    for step in range(0, len(steps), 1 if request.config.getoption("--exhaustive") else SAMPLED):
        directory = tmp_path / str(step)
        assert killed_at(directory, step)
        seal(brokers := filled(), unsynced(directory))  # Kafka delivers all of it again
        assert_whole(directory, brokers)
    assert not killed_at(tmp_path / "end", len(steps))
