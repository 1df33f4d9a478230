"""Noting marks while objects are read: soon, but not at each acknowledgement, and never at the cost of the reading."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from ingest.schema.errors import SkytrailError, StoreUnavailable
from ingest.transports.checkpoints.table import Located, MarkTable

MarkT = TypeVar("MarkT", bound=Located)

_SAVE_AFTER_S = 1.0
_DAY_S = 86400


class Notes(Generic[MarkT]):
    """What one transport notes. A full disk is told and does not stop the reading: what it cost is tried again.

    Args:
        marks: Where they are kept.
        clock: The time (UTC).
        tell: Hears that something could not be noted.
        on_kept: Called with the locator of each mark that was written.
    """

    def __init__(
        self,
        marks: MarkTable[MarkT],
        clock: Callable[[], dt.datetime],
        tell: Callable[[SkytrailError], None],
        on_kept: Callable[[str], None],
    ) -> None:
        self._marks = marks
        self._clock = clock
        self._tell = tell
        self._on_kept = on_kept
        self._unkept: dict[str, MarkT] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def find(self, locators: Sequence[str]) -> dict[str, MarkT]:
        """The marks of objects that are listed.

        Raises:
            StoreUnavailable: The checkpoint can't be read now.
        """
        marks = self._marks.find(locators)
        self._noted(self._marks.saw, marks, self._day)
        return marks

    def keep(self, mark: MarkT) -> None:
        """Note how far an object is acknowledged; it is on disk within about a second."""
        if self._closed:
            return
        self._unkept[mark.locator] = mark
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SAVE_AFTER_S, self.save)

    def waits(self, locator: str) -> bool:
        """Whether the checkpoint does not know yet what is acknowledged of an object."""
        return locator in self._unkept

    def drop(self, locators: Iterable[str]) -> None:
        """Forget objects that are gone, or are others now."""
        for locator in locators:
            self._unkept.pop(locator, None)
            self._noted(self._marks.drop, locator)

    def save(self) -> None:
        """Write what is noted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for locator, mark in tuple(self._unkept.items()):
            if not self._noted(self._marks.put, mark, self._day):
                return
            del self._unkept[locator]
            self._on_kept(locator)
        self._noted(self._marks.save)

    def looked(self) -> None:
        """Everything there is was listed: forget what was not among it for long, and write."""
        self._noted(self._marks.forget, self._day)
        self.save()

    def close(self) -> None:
        """Write a last time, and close the checkpoint. Harmless when repeated."""
        if self._closed:
            return
        self.save()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._marks.close()

    @property
    def _day(self) -> int:
        return int(self._clock().timestamp() // _DAY_S)

    def _noted(self, note: Callable[..., None], *arguments: object) -> bool:
        try:
            note(*arguments)
        except StoreUnavailable as exc:
            self._tell(exc)
            return False
        return True
