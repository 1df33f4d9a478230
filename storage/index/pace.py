"""How many bulk requests go at once, how large they are, and how long to wait after a failure.

Additive increase, multiplicative decrease: an answer raises the limits a little, "too many requests" halves them. The
size shrinks too, because a node whose indexing pressure is exhausted refuses a large request for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

MIN_BULK_BYTES: Final = 64 * 1024
FIRST_CEILING_S: Final = 0.5
LAST_CEILING_S: Final = 60.0
AWAY_CEILING_S: Final = 10.0
_STEPS_TO_FULL_SIZE: Final = 16


class Pace:
    """The current limits; shared by all writes of one writer.

    Args:
        in_flight: Most bulk requests at once.
        bulk_bytes: Largest body of a bulk request with several documents.
    """

    def __init__(self, in_flight: int, bulk_bytes: int) -> None:
        self._max_in_flight = in_flight
        self._max_bytes = bulk_bytes
        self._limit = float(in_flight)
        self._running = 0
        self._changed = asyncio.Event()
        self.bulk_bytes = bulk_bytes

    @property
    def in_flight(self) -> int:
        """How many bulk requests may run now."""
        return int(self._limit)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a free place among the bulk requests and hold it."""
        while self._running >= self.in_flight:
            self._changed.clear()
            await self._changed.wait()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._changed.set()

    def answered(self) -> None:
        """A request went through."""
        self._limit = min(float(self._max_in_flight), self._limit + 1 / self._limit)
        self.bulk_bytes = min(self._max_bytes, self.bulk_bytes + self._max_bytes // _STEPS_TO_FULL_SIZE)
        self._changed.set()

    def overloaded(self) -> None:
        """The server said that it has too much to do."""
        self._limit = max(1.0, self._limit / 2)
        self.bulk_bytes = max(MIN_BULK_BYTES, self.bulk_bytes // 2)


def pause_s(attempt: int, chance: float, *, busy: bool) -> float:
    """Seconds to wait before a further attempt: full jitter below a ceiling that doubles from 0.5 s.

    Up to 60 s for a server that has too much to do. One that is away or blocked is not relieved by waiting longer, and
    alerts wait until it is noticed to be back: up to 10 s.

    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/

    Args:
        attempt: Failures in a row so far, from 1.
        chance: Uniform in [0, 1).
        busy: Whether it said that it has too much to do.
    """
    last = LAST_CEILING_S if busy else AWAY_CEILING_S
    return chance * min(last, FIRST_CEILING_S * 2.0 ** min(attempt - 1, 30))
