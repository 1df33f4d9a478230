"""Waiting between attempts: full jitter, growing to a cap, for ever.

Full jitter (a uniform wait between 0 and the cap of the attempt) keeps many clients of one broken server from coming
back in step: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ingest.schema.errors import TransientError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait, and when to tell someone.

    Attributes:
        first_s: Cap of the first wait, seconds.
        cap_s: Cap of every later wait, seconds.
        alarm_after_s: Seconds of failure after which `on_alarm` is called, and again after each further such time.
        on_alarm: Called with the last error and the seconds since the first.
        uniform: Source of jitter: a number between its two arguments.
        give_up_after_s: Seconds of failure after which the last error is raised.
    """

    first_s: float = 0.2
    cap_s: float = 10.0
    alarm_after_s: float = 30.0
    on_alarm: Callable[[TransientError, float], None] = lambda _error, _seconds: None
    uniform: Callable[[float, float], float] = random.SystemRandom().uniform
    give_up_after_s: float = math.inf

    async def forever(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call until it succeeds.

        Ends only by success, by another error than `TransientError`, by cancellation, or after `give_up_after_s`.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        alarm_at = began + self.alarm_after_s
        cap = self.first_s
        while True:
            try:
                return await attempt()
            except TransientError as exc:
                if loop.time() - began >= self.give_up_after_s:
                    raise
                if loop.time() >= alarm_at:
                    self.on_alarm(exc, loop.time() - began)
                    alarm_at = loop.time() + self.alarm_after_s
            await asyncio.sleep(self.uniform(0, cap))
            cap = min(self.cap_s, cap * 2)
