"""Fetches objects before it is their turn, several at once, so that a scan does not wait for one answer after another.

Bounded: at most a few objects are on their way or wait, and together they are no larger than a budget. A large object
is read when it is its turn, as it comes.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

IN_FLIGHT: Final = 16
"""Objects that are fetched, or wait for their turn, at most. A request to S3 takes 20 to 100 ms, mostly of waiting."""
LARGE_BYTES: Final = 8 * 1024 * 1024
"""From this size on an object is not fetched ahead: reading it takes much longer than waiting for it."""
BUDGET_BYTES: Final = 64 * 1024 * 1024
FIRST: Final = 2
"""Objects before the first one that is fetched ahead. A scan forks its processes when it has seen two pieces; threads
that run at that moment would be copied in whatever state they are."""

Fetch = Callable[[str], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class _Fetched:
    """An object; `error` is what ended it early."""

    chunks: tuple[bytes, ...]
    error: Exception | None = None


class Prefetch:
    """Some objects, to be read in their order; leave its context and nothing is on its way."""

    def __init__(
        self,
        objects: Sequence[tuple[str, int]],
        fetch: Fetch,
        *,
        in_flight: int = IN_FLIGHT,
        budget: int = BUDGET_BYTES,
        large: int = LARGE_BYTES,
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            objects: Name and size of each, in the order in which they will be asked for.
            fetch: Reads one; called in threads.
            in_flight: Objects at once.
            budget: Bytes that may wait, by the sizes that were told.
            large: Size from which on an object is not fetched ahead.
        """
        self._waiting = deque(itertools.islice((one for one in objects if one[1] < large), FIRST, None))
        self._fetch = fetch
        self._in_flight = in_flight
        self._budget = budget
        self._large = large
        self._taken = 0
        self._sizes: dict[str, int] = {}
        self._coming: dict[str, Future[_Fetched | None]] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._left = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        if self._threads:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of an object, fetched before or now.

        Raises:
            Exception: What fetching raises, after the bytes that came before.
        """
        self._taken += 1
        if self._taken > FIRST:
            self._order()
        future = self._coming.pop(name, None)
        found = future.result() if future else None
        if found is None:
            yield from self._fetch(name)
            return
        del self._sizes[name]
        self._order()
        yield from found.chunks
        if found.error:
            raise found.error

    def _order(self) -> None:
        """Ask for what comes next, as far as there is room."""
        while self._waiting and len(self._coming) < self._in_flight:
            name, size = self._waiting[0]
            if self._sizes and sum(self._sizes.values()) + size > self._budget:
                return
            self._waiting.popleft()
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._in_flight, "skytrail-fetch")
            self._sizes[name] = size
            self._coming[name] = self._threads.submit(self._whole, name)

    def _whole(self, name: str) -> _Fetched | None:
        """An object; None when it has become large since its size was told, or nobody wants it any more."""
        chunks: list[bytes] = []
        size = 0
        try:
            for chunk in self._fetch(name):
                chunks.append(chunk)
                size += len(chunk)
                if size > self._large or self._left:
                    return None
        except Exception as exc:  # noqa: BLE001 - raised again where the object is read
            return _Fetched(tuple(chunks), exc)
        return _Fetched(tuple(chunks))
