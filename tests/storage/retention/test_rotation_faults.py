"""Every write and deletion of a round, lost or done, failing or ending the process: the next round ends the same."""

from __future__ import annotations

import contextlib
import copy
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.schema.errors import StoreUnavailable
from storage.archive.store import ArchiveStore
from tests.storage.archive.samples import seal_in_batches, stream
from tests.storage.ledger.test_notary import chains_in, notary_in
from tests.storage.retention.samples import policy
from tests.storage.retention.test_applying import RULE, Indexes, Killed, Stops, no_tampering, whole
from tests.storage.retention.test_rotation import Rotated

MOST = 200


class Small(Rotated):
    """Few segments, so that every step can be broken in turn."""

    def __init__(self, root: Path) -> None:
        self.moved_to(root)
        seal_in_batches(self.store, stream(3), range(3), self.clock)
        notary_in(root, self.clock).record(chains_in(root)[:1])
        self.adopt(policy(RULE))

    def breaks(self, step: int, fault: str, error: type[BaseException]) -> Stops:
        """Break one step of archive, ledger or Elasticsearch."""
        stops = Stops(self.store, step, fault, error)
        self.store = stops
        self.indices = _Stopping(stops, self.indices)
        return stops

    def mended(self, store: ArchiveStore) -> None:
        """A new process, on what is there."""
        self.store = store
        self.indices = Indexes(**self.indices.present)


class _Stopping(Indexes):
    """Dropping an index is a step as well."""

    def __init__(self, stops: Stops, inner: Indexes) -> None:
        super().__init__(**inner.present)
        self._stops = stops

    def drop(self, name: str, uuid: str) -> None:
        plain: Callable[..., Any] = super().drop
        self._stops._step(f"drop {name}", lambda: plain(name, uuid))


@pytest.mark.parametrize(("fault", "error"), [("lost", Killed), ("applied", StoreUnavailable)])
def test_whatever_step_breaks_and_however_the_next_round_ends_the_same(
    tmp_path: Path, fault: str, error: type[BaseException]
) -> None:
    made = Small(tmp_path / "made")
    for step in itertools.count(1):
        assert step < MOST, "it never came to its end"
        shutil.copytree(tmp_path / "made", tmp_path / str(step))
        scene = copy.copy(made)
        scene.moved_to(tmp_path / str(step))
        sound = scene.store
        stops = scene.breaks(step, fault, error)
        with contextlib.suppress(error):  # a deletion that fails is told, not raised
            scene.round()
        scene.mended(sound)
        no_tampering(scene)
        scene.round()
        whole(scene)
        if stops._left > 0:  # there was no such step
            assert step > 15
            return


def test_an_archive_that_can_not_be_read_destroys_nothing_and_the_next_round_goes_on(tmp_path: Path) -> None:
    scene = Small(tmp_path)
    sound = scene.store

    class Unread(Stops):
        def get(self, key: str) -> bytes | None:
            raise StoreUnavailable("injected: reading", where=key)

    scene.store = Unread(sound, 0, "lost", StoreUnavailable)
    with pytest.raises(StoreUnavailable):
        scene.round()
    scene.store = sound
    assert scene.record().now().tombstones == {}
    scene.round()
    whole(scene)
