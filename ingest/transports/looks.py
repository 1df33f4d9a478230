"""Looking at a source again and again, as transports do that find by listing what is new."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Generic, TypeVar

from ingest.backoff import Backoff
from ingest.schema.errors import SkytrailError, SourceRefused, TransientError
from ingest.transports.telling import Told

DeliveryT = TypeVar("DeliveryT")

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_uniform = random.SystemRandom().uniform


class Looks(Generic[DeliveryT]):
    """The looks of one transport, and the bodies that were handed back to it.

    Args:
        warn: Hears of troubles: when one begins, and once a minute while it lasts.
        idle: Called before each wait.

    Attributes:
        closing: Nothing more is to be delivered.
    """

    def __init__(self, warn: Callable[[SkytrailError], None], idle: Callable[[], None]) -> None:
        self._warn = warn
        self._idle = idle
        self._told = Told()
        self._again: deque[DeliveryT] = deque()
        self._wake = asyncio.Event()
        self.closing = False

    async def begin(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Ask until there is an answer.

        Raises:
            SourceRefused: The source refuses us.
        """
        told = Backoff(first_s=1.0, cap_s=30.0, alarm_after_s=0.0, on_alarm=lambda error, _: self.tell(error))
        await told.forever(ask)

    async def repeated(
        self,
        look: Callable[[], AsyncIterator[DeliveryT]],
        *,
        rest_s: float,
        refused_rest_s: float,
        once: bool = False,
    ) -> AsyncIterator[DeliveryT]:
        """What looks find, until `stop`; between them what was handed back.

        Args:
            look: Looks at the whole source once.
            rest_s: Seconds between the end of a look and the next one.
            refused_rest_s: The same after the source refused us.
            once: End after a look that came to its end.

        Raises:
            SourceRefused: With `once`: the source refuses us.
        """
        pause = _FIRST_PAUSE_S
        while not self.closing:
            try:
                async for delivery in look():
                    yield delivery
                if once:
                    return
                pause, rest = _FIRST_PAUSE_S, rest_s
            except TransientError as exc:
                self.tell(exc)
                pause, rest = min(_LONGEST_PAUSE_S, 2 * pause), _uniform(0, pause)
            except SourceRefused as exc:
                if once:
                    raise
                self.tell(exc)
                rest = refused_rest_s
            until = asyncio.get_running_loop().time() + rest
            while not self.closing and (left := until - asyncio.get_running_loop().time()) > 0:
                for delivery in self.handed_back():
                    yield delivery
                await self.wait(left)

    def hand_back(self, delivery: DeliveryT) -> None:
        """A body is to be delivered again."""
        self._again.append(delivery)
        self._wake.set()

    def handed_back(self) -> Iterator[DeliveryT]:
        """The bodies that are to be delivered again, also those that come while they are taken."""
        while self._again:
            yield self._again.popleft()

    async def wait(self, seconds: float) -> None:
        """Until a body was handed back, the transport closes, or the time is over."""
        self._wake.clear()
        if self.closing or self._again:
            return
        self._idle()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    def stop(self) -> None:
        """End the looks; harmless when repeated."""
        self.closing = True
        self._wake.set()

    def tell(self, trouble: SkytrailError) -> None:
        """Tell a trouble that does not stop the transport, unless it was told lately."""
        if self._told.is_news(trouble, asyncio.get_running_loop().time()):
            self._warn(trouble)
