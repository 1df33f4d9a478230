"""One round of rotation on real engines, in a process that ends itself with SIGKILL at a chosen step."""

from __future__ import annotations

import datetime as dt
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from skytrail.deleting import ElasticIndices, elastic_indices, means
from skytrail.retaining import planned, retaining_of
from skytrail.settings import load
from storage.archive.store import ArchiveStore
from storage.retention.offers import Offers
from storage.retention.plan import IndexFacts
from storage.retention.record import State
from storage.retention.rotation import rotate
from tests.storage.retention.test_applying import Killed, Stops


class Dies(Stops):
    """A store that does its n-th write or deletion, or loses it, and then the process is gone; it writes down each."""

    def __init__(self, store: ArchiveStore, at: int, fault: str, trace: Path) -> None:
        super().__init__(store, at, fault, Killed)
        self._trace = trace

    def destroy(self, key: str) -> None:
        self._step(f"destroy {key}", lambda: self._store.destroy(key))

    def _step(self, key: str, act: Callable[[], Any]) -> Any:
        with self._trace.open("a") as trace:
            trace.write(f"{key}\n")
        self._left -= 1
        if self._left != 0:
            return act()
        if self._fault == "applied":
            act()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("SIGKILL was survived")


class DyingIndices:
    """Dropping an index is a step as well."""

    def __init__(self, dies: Dies, inner: ElasticIndices) -> None:
        self._dies, self._inner = dies, inner

    def facts(self, name: str, state: State) -> IndexFacts | None:
        return self._inner.facts(name, state)

    def drop(self, name: str, uuid: str) -> None:
        self._dies._step(f"drop {name}", lambda: self._inner.drop(name, uuid))


def one_round(config: Path, at: int, fault: str, trace: Path) -> None:
    """What the role rotate does once, with the policies that are adopted in the archive of these settings."""
    now = dt.datetime.now(dt.UTC)
    settings = load(config)
    retaining = retaining_of(settings, lambda: now, allow_delete=True)
    dies = Dies(retaining.store, at, fault, trace)
    retaining.store = retaining.notary._store = dies
    records = {name: retaining.record(name) for name in retaining.namespaces()}
    with elastic_indices(settings.elasticsearch) as indices:
        plan = indices.runner.run(planned(retaining, indices.reader, now))
        carried = replace(means(retaining, indices, settings.ledger, now), indices=DyingIndices(dies, indices))
        rotate(records, carried, plan, Offers(settings.state_dir / "retention"))
