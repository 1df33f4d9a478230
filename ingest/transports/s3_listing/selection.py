"""Which objects are wanted. Pure."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from ingest.transports.s3_listing.settings import Moment, S3ListingSettings

_DAY = dt.timedelta(days=1)
_IN_KEY = re.compile(r"(?:^|/)(?:year=)?(\d{4})/(?:month=)?(\d{2})/(?:day=)?(\d{2})/")


@dataclass(frozen=True, slots=True)
class Selection:
    """A range of time; None is open.

    Attributes:
        by_key: The day in an object's key counts, where it has one.
    """

    since: dt.datetime | None
    until: dt.datetime | None
    by_key: bool

    def wants(self, key: str, written_at: dt.datetime) -> bool:
        """Whether an object is of the range; one with a day in its key if a moment of that day is."""
        day = _day_of(key) if self.by_key else None
        first, behind = (day, day + _DAY) if day else (written_at, written_at + dt.timedelta.resolution)
        return (self.since is None or behind > self.since) and (self.until is None or first < self.until)


def selection_of(settings: S3ListingSettings) -> Selection:
    """As the settings say."""
    return Selection(_moment(settings.since), _moment(settings.until), by_key=settings.time_of == "key")


def _moment(moment: Moment) -> dt.datetime | None:
    if moment is None or isinstance(moment, dt.datetime):
        return moment
    return dt.datetime.combine(moment, dt.time(), dt.UTC)


def _day_of(key: str) -> dt.datetime | None:
    found = _IN_KEY.search(key)
    if found is None:
        return None
    year, month, day = map(int, found.groups())
    try:
        return dt.datetime(year, month, day, tzinfo=dt.UTC)
    except ValueError:
        return None  # digits that are no date
