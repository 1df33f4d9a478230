"""The demo's clock: the script of the day is written in seconds since its midnight, and ends at a given moment."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass

DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Clock:
    """Turns seconds of the script into times; order and distances are kept whatever the day ends at.

    Attributes:
        end: Moment at which the day ends, in UTC.
    """

    end: dt.datetime

    def at(self, second: float) -> dt.datetime:
        """The moment this many seconds after the day's start."""
        return self.end + dt.timedelta(seconds=second - DAY_S)

    def seconds(self, second: float) -> str:
        """As CloudTrail writes it: whole seconds."""
        return f"{self.at(second):%Y-%m-%dT%H:%M:%SZ}"

    def micros(self, second: float) -> str:
        """As the Kubernetes API server writes it: microseconds."""
        return f"{self.at(second):%Y-%m-%dT%H:%M:%S.%fZ}"

    def words(self, second: float) -> str:
        """As IAM and STS write times in their answers: `Nov 22, 2026 8:01:39 AM`."""
        moment = self.at(second)
        return f"{moment:%b} {moment.day}, {moment:%Y} {moment.hour % 12 or 12}:{moment:%M:%S %p}"


def hour(hours: int, minutes: int = 0, seconds: float = 0) -> float:
    """Seconds since the script's midnight."""
    return hours * 3600 + minutes * 60 + seconds


def office_hours(rng: random.Random) -> float:
    """A moment at which people work: around two o'clock, hardly before eight or after seven."""
    return min(max(rng.gauss(hour(13, 30), hour(2, 20)), hour(7)), hour(19, 30))


def steady(rng: random.Random, count: int) -> list[float]:
    """Moments of machine traffic: spread over the day, a little denser while people work; in order."""
    return sorted(
        rng.uniform(0, DAY_S - 2) if rng.random() < 0.7 else min(office_hours(rng), DAY_S - 2)  # noqa: PLR2004 - share
        for _ in range(count)
    )
