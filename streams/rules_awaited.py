"""What correlates waits for the rule set that another worker has taken already, for a stated time.

Workers look for changed rules each by itself, so a signal of a correlation that was just added may reach one that does
not have it yet. It is not acknowledged, and nothing of its batch is judged, until this worker has taken the set, too. A
set that does not come in time (other files on this machine, a set that was refused here) is given up, loudly, and not
waited for again until it has been in force here. Nor is one waited for that was evaluated before the one here: a worker
that starts anew knows that from the evaluation ledger.

The time is that of the set: it goes on while others come, and over rebalances. When one begins the wait ends and the
batch is given back (`Abandoned`): the whole group would stand still for it, and then go on without this worker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

import structlog

from detectors.correlation.signals import Router
from detectors.correlation.succession import Maker
from streams.evaluations import decode_runs, first_seen
from streams.topics import EVALUATIONS

LOOK_S = 0.25
ReadTopic = Callable[[str], Awaitable[list[tuple[bytes, bytes]]]]

log = structlog.get_logger("skytrail.correlate")


class Abandoned(Exception):
    """Nothing was done with a batch, and whoever gets its partitions next takes it."""


class RulesAwaited:
    """Where the role puts the rule set that it takes, and where what correlates waits for one.

    Attributes:
        given_up: Versions of sets that did not come in time.
    """

    def __init__(
        self,
        patience_s: float,
        say: Callable[[str], None],
        read: ReadTopic,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Compose.

        Args:
            patience_s: How long to wait for a set.
            say: Hears now and then that and why work waits.
            read: Reads a compacted topic: the evaluation ledger.
        """
        self.given_up: set[str] = set()
        self._patience_s = patience_s
        self._say = say
        self._read = read
        self._sleep = sleep
        self._monotonic = monotonic
        self._next: Router | None = None
        self._until: dict[str, float] = {}
        self._leaving = False

    def offer(self, router: Router) -> None:
        """A set comes into force; between two batches, or while one waits for it."""
        self._next = router
        self.given_up.discard(router.succession.maker.version)

    def leave(self) -> None:
        """The partitions are taken away, or the worker stops: whoever waits gives its batch back."""
        self._leaving = True

    def stay(self) -> None:
        """Partitions were given: it may be waited again."""
        self._leaving = False

    def newest(self) -> Router | None:
        """The set that came into force since this was last asked."""
        router, self._next = self._next, None
        return router

    async def later(self, versions: Iterable[str], mine: Maker) -> dict[str, bool]:
        """Of the sets that ever evaluated anything: whether one did so first after this worker's own set did.

        Args:
            versions: Of sets that this worker never had.
            mine: Its own; when it took it counts where nothing was evaluated by it yet.
        """
        wanted = set(versions) - self.given_up
        if not wanted:
            return {}
        seen = first_seen(decode_runs(value for _, value in await self._read(EVALUATIONS)))
        own = seen.get(mine.version, mine.taken)
        return {version: seen[version] > own for version in wanted if version in seen}

    async def come(self, makers: Iterable[Maker]) -> bool:
        """Wait for the sets of some makers: True as soon as any set was offered, False when they are given up.

        Raises:
            Abandoned: The partitions are taken away.
        """
        wanted = {maker.version for maker in makers} - self.given_up
        now = self._monotonic()
        self._until = {version: self._until.get(version, now + self._patience_s) for version in wanted}
        until = max(self._until.values(), default=now)
        while wanted and self._next is None:
            if self._leaving:
                raise Abandoned
            left = until - self._monotonic()
            if left <= 0:
                self.given_up |= wanted
                log.error(
                    "rule sets of other workers did not come",
                    versions=sorted(wanted),
                    waited_s=self._patience_s,
                    mend="give all workers of the role detect the same rules; `skytrail rules lint` says why a set is "
                    "refused; matches for correlations that are not loaded here are left out and counted as `unknown`",
                )
                return False
            self._say(f"Rules of another worker are not here yet: version {', '.join(sorted(wanted))}")
            await self._sleep(min(LOOK_S, left))
        return bool(wanted)
