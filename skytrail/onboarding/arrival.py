"""The last step of a proof: whether events of a collector are in Skytrail, and how old the newest ones are."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from ingest.schema.errors import EngineError
from skytrail.diagnosis.check import Check, State
from skytrail.onboarding.proving import Asked
from streams.arrivals import Arrivals

_LOOK_EVERY_S = 2.0
_NAME = "events"

Read = Callable[[], Awaitable[Arrivals]]
"""Asks Kafka what has arrived of the collector."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """Waits for the first event.

    Attributes:
        asked: What shall be proven.
        read: Asks what has arrived; raises EngineError where there is no Kafka to ask.
        wait_s: Seconds to wait for the first event.
        expected_s: The interval that the settings state for this collector; None: they state none.
    """

    asked: Asked
    read: Read
    wait_s: float
    expected_s: float | None = None

    async def look(self, within_s: float) -> Iterable[Check]:
        """The step; raises what `read` raises.

        Args:
            within_s: Seconds that the cloud may take from an event to us.
        """
        return [await self._look(within_s)]

    async def _look(self, within_s: float) -> Check:
        deadline = self.asked.now() + dt.timedelta(seconds=self.wait_s)
        try:
            found = await self.read()
            while not found.records and self.asked.now() < deadline:
                await asyncio.sleep(_LOOK_EVERY_S)
                found = await self.read()
        except EngineError as exc:
            return Check(_NAME, "skipped", f"Skytrail's own Kafka can't be asked: {exc.what}", exc.mend)
        return self._judged(found, within_s)

    def _judged(self, found: Arrivals, within_s: float) -> Check:
        name = self.asked.name
        if not found.records:
            waited = f" within {self.wait_s:g} s" if self.wait_s else ""
            mend = (
                f"is `skytrail collect {name}` running, and the worker of the role seal? A first event may take "
                f"{_span(within_s)}: `skytrail onboard check {name} --wait {within_s:.0f}`"
            )
            return Check(_NAME, "fail", f"none has arrived{waited}", mend)
        told = f"{found.records:,} records"
        if found.refused:
            told += f", {found.refused:,} of them dead letters"
        if found.last_at is not None:
            told += f", the last ones {_span(self._age_s(found.last_at))} ago"
        state, mend = self._weighed(found)
        return Check(_NAME, state, told if found.last_at else f"{told} have arrived", mend)

    def _age_s(self, at: dt.datetime) -> float:
        return max(0.0, (self.asked.now() - at).total_seconds())

    def _weighed(self, found: Arrivals) -> tuple[State, str]:
        """How good that is, and what to do about it."""
        letters = (
            f"is format = {self.asked.settings.format!r} that of the source? `skytrail dead-letters list` says why"
        )
        if found.refused >= found.records:
            return "fail", letters
        if found.silent:
            return (
                "warn",
                f"the watch over sources holds {', '.join(found.silent)} silent: is it running, is the log on?",
            )
        if self.expected_s and found.last_at and self._age_s(found.last_at) > self.expected_s:
            return "warn", f"something should come every {_span(self.expected_s)}, say the settings: is it running?"
        return ("warn", letters) if 2 * found.refused > found.records else ("ok", "")


def _span(seconds: float) -> str:
    """A span of time in words."""
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = round(seconds / size)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{round(seconds)} seconds"
