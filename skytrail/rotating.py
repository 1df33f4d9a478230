"""What the role rotate works with: the archive that may delete, its ledgers, and Elasticsearch as `retention`."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import operator
from collections.abc import Callable

from skytrail.deleting import elastic_indices, means, trusted
from skytrail.retaining import Retaining, planned, retaining_of
from skytrail.settings import Settings
from storage.index.client import connect
from storage.index.disk import Disk, disks_of
from storage.retention.offers import Offers
from storage.retention.rotation import GoOn, Round, rotate
from storage.retention.store_holds import Step, StoreHolds


class Rotating:
    """The `Rounds` of an installation. The ledgers are kept, so each round reads only what is new in them.

    Args:
        settings: Connected.
        clock: Gives the present time, with zone; it is compared with that of the ledgers and of Elasticsearch.
    """

    def __init__(self, settings: Settings, clock: Callable[[], dt.datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._retaining: Retaining | None = None
        self._holds: StoreHolds | None = None
        self._offers = Offers(settings.state_dir / "retention")

    def run(self, go_on: GoOn) -> Round | None:
        """See `Rounds.run`."""
        if self._retaining is None:
            self._retaining = retaining_of(self._settings, self._clock, allow_delete=True)
        retaining = self._retaining
        try:
            records = {name: retaining.record(name) for name in retaining.namespaces()}
            for record in records.values():
                record.log.load()
            step = functools.reduce(operator.add, (self._in_step(retaining, name) for name in records), Step(able=True))
            if all(record.now().policy is None for record in records.values()):
                return None
            with elastic_indices(self._settings.elasticsearch) as indices:
                now = indices.runner.run(trusted(retaining, indices.reader, self._clock()))
                plan = indices.runner.run(planned(retaining, indices.reader, now))
                carried = means(retaining, indices, self._settings.ledger, now)
                found = rotate(records, carried, plan, self._offers, go_on)
        except BaseException:
            self._retaining = self._holds = None  # what a failed round knows is not relied upon
            raise
        found.store_held, found.store_freed = step.held, step.freed
        return found

    def _in_step(self, retaining: Retaining, namespace: str) -> Step:
        """Let the store hold what the ledger of a namespace holds: what came in since, or what somebody let go of."""
        if self._holds is None:
            self._holds = StoreHolds(retaining.store)
        return self._holds.keep_in_step(namespace, retaining.chains(namespace), retaining.record(namespace).now())

    def disks(self) -> list[Disk]:
        """See `Rounds.disks`."""
        with asyncio.Runner() as runner:
            reader = connect(self._settings.elasticsearch, "reader")
            try:
                return runner.run(disks_of(reader))
            finally:
                runner.run(reader.close())
