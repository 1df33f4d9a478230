"""A sealer that is suspended at any step, and wakes up when another has its partition, loses and doubles nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.verify.archive import check
from tests.storage.archive.pausing import Paused, PausingStore
from tests.storage.archive.samples import Clock, assert_complete_and_clean, open_store, seal_in_batches, stream

MESSAGES = stream(9)


def some(first: int, last: int) -> dict[int, bytes]:
    return {offset: MESSAGES[offset] for offset in range(first, last + 1)}


@pytest.mark.parametrize("edges", [[], [1, 2, 6]], ids=str)
@pytest.mark.parametrize("last", [3, 8])
def test_a_sealer_that_wakes_up_after_another_changes_nothing(tmp_path: Path, edges: list[int], last: int) -> None:
    for at in range(0, 200, 2):
        root = tmp_path / str(at)
        clock = Clock()
        seal_in_batches(open_store(root), some(0, 1), [], clock)

        def work(store: PausingStore, clock: Clock = clock) -> None:
            seal_in_batches(store, some(2, 8), [4], clock)  # Kafka goes on from what was committed

        late = Paused(open_store(root), at, work)
        paused = late.start()
        seal_in_batches(open_store(root), some(0, last), edges, clock)
        assert list(check(root)) == []
        late.end()
        assert_complete_and_clean(root, MESSAGES)
        seal_in_batches(open_store(root), MESSAGES, [], clock)
        assert_complete_and_clean(root, MESSAGES)
        if not paused:
            break
    else:
        raise AssertionError("it has more steps than that")
    assert at > 20


@pytest.mark.parametrize("second", range(0, 48, 12))
def test_two_sealers_that_stop_and_wake_up_in_turn_leave_every_record_once(tmp_path: Path, second: int) -> None:
    for first in range(0, 48, 7):
        root = tmp_path / str(first)
        clock = Clock()
        seal_in_batches(open_store(root), some(0, 1), [], clock)

        def early(store: PausingStore, clock: Clock = clock) -> None:
            seal_in_batches(store, some(2, 6), [4], clock)

        def late(store: PausingStore, clock: Clock = clock) -> None:
            seal_in_batches(store, some(2, 8), [3, 5], clock)

        one, two = Paused(open_store(root), first, early), Paused(open_store(root), second, late)
        one.start()
        two.start()
        one.end()
        two.end()
        assert_complete_and_clean(root, MESSAGES)
