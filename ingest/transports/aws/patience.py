"""Asking for ever: a source that is away is waited for, one that says no is told to people and asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from ingest.backoff import Backoff
from ingest.schema.errors import SkytrailError, SourceRefused

T = TypeVar("T")

REFUSED_PAUSE_S = 15.0  # a policy that was mended takes seconds to count


class Patience:
    """How one transport repeats its calls.

    Args:
        warn: Hears of a source that is away for long, and of each refusal, once until it changes.
        backoff: Reaction to a source that is away.
        refused_pause_s: Seconds between calls while the source says no.
    """

    def __init__(
        self,
        warn: Callable[[SkytrailError], None],
        *,
        backoff: Backoff | None = None,
        refused_pause_s: float = REFUSED_PAUSE_S,
    ) -> None:
        self._warn = warn
        self.backoff = replace(backoff or Backoff(), on_alarm=lambda error, _seconds: warn(error))
        self._refused_pause_s = refused_pause_s

    async def forever(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call until it succeeds; ends only by success, by an error of another kind, or by cancellation."""
        told = ""
        while True:
            try:
                return await self.backoff.forever(attempt)
            except SourceRefused as exc:
                if str(exc) != told:
                    self._warn(exc)
                    told = str(exc)
            await asyncio.sleep(self._refused_pause_s)

    async def within(self, seconds: float, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call until it succeeds or is refused, but not for longer than some seconds.

        Raises:
            SourceUnavailable: The last one, when the time is over.
            SourceRefused: It says no.
        """
        return await replace(self.backoff, give_up_after_s=seconds).forever(attempt)
