"""Blobs of a container, found by listing: what diagnostic settings write to a storage account (`PT1H.json`).

Bodies:   Blobs of lines come in bodies of about 4 MiB cut at line ends; of one that grew only the new bytes are read.
          gzip and documents over several lines come whole, and again as a whole when they changed.
          https://learn.microsoft.com/azure/azure-monitor/essentials/resource-logs-blob-format
Delivery: at least once. The checkpoint, a file of this machine, says of each blob up to where all is acknowledged.
Order:    Within a blob. Blobs come in the order of the listing, `read_ahead` of them are read at the same time.
Troubles: A blob that vanished, shrank or holds something else than was read of it is told; what can't be read is told
          and tried again every hour, and when it changed. It hides no other blob.
Bounded:  `read_ahead` bodies lie ready; the listing goes on when they are taken.
Tests:    tests/ingest/transports/azure_blob/, on Azurite
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from typing import Any, NamedTuple, TypeVar

from ingest.schema.envelope import Origin
from ingest.schema.errors import SourceRefused
from ingest.transports.azure_blob.bodies import Body, next_body
from ingest.transports.azure_blob.container import Container, Listed, Read
from ingest.transports.azure_blob.marks import Mark, Marks
from ingest.transports.azure_blob.settings import AzureBlobSettings
from ingest.transports.azure_blob.track import Track
from ingest.transports.azure_blob.troubles import replaced, vanished, vanished_unread
from ingest.transports.checkpoints.notes import Notes
from ingest.transports.contract import Place
from ingest.transports.looks import Looks
from ingest.transports.messages.delivery import MessageDelivery

T = TypeVar("T")

_NAME = "azure_blob"
_GROWS_S = 3600.0  # an append blob that was not written to for so long is taken as finished
_WATCHED_S = 48 * 3600.0  # of a blob that was written to since, it is told when it vanishes
_REFUSED_PAUSE_S = 15.0
_REFUSED_AGAIN_S = 3600.0  # a blob that can't be read is tried again then, or when it changed
logging.getLogger("azure").addHandler(logging.NullHandler())  # what it logs reaches us as errors as well


async def open_transport(settings: AzureBlobSettings, place: Place) -> AzureBlob:
    """Look at the container, and open the checkpoint.

    Raises:
        ConfigError: The container refuses us, or the checkpoint can't be read.
    """
    marks = Marks(settings.checkpoint_file or place.state_dir / "checkpoints" / f"{place.name}.blobs.sqlite")
    try:
        transport = AzureBlob(Container(settings), marks, settings, place)
        try:
            await transport.start()
        except BaseException:
            await transport.close()
            raise
    except BaseException:
        marks.close()
        raise
    return transport


class _Aside(NamedTuple):
    """A blob that has nothing for us as long as it stays as it is."""

    etag: str
    until: float
    grows: bool

    def holds(self, blob: Listed, now: float) -> bool:
        return (self.etag, self.grows) == (blob.etag, _grows(blob, now)) and now < self.until


class AzureBlob:
    """See the module."""

    def __init__(self, container: Container, marks: Marks, settings: AzureBlobSettings, place: Place) -> None:
        self._container = container
        self._marks = marks
        self._settings = settings
        self._place = place
        self._since = _seconds(settings.since)
        self._tracks: dict[str, Track] = {}
        self._aside: dict[str, _Aside] = {}
        self._seen: set[str] = set()
        self._work: set[asyncio.Future[Any]] = set()
        self._looks: Looks[MessageDelivery] = Looks(place.warn, self._save)
        self._notes: Notes[Mark] = Notes(marks, place.clock, self._looks.tell, self._release)

    async def start(self) -> None:
        """Ask for one blob.

        Raises:
            SourceRefused: The container refuses us.
        """
        await self._looks.begin(self._container.look)

    async def deliveries(self) -> AsyncIterator[MessageDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        rest = self._settings.poll_interval_s
        async for delivery in self._looks.repeated(self._look, rest_s=rest, refused_rest_s=_REFUSED_PAUSE_S):
            yield delivery

    async def close(self) -> None:
        """See `Transport.close`."""
        self._looks.stop()
        for work in tuple(self._work):
            work.cancel()
        await asyncio.gather(*tuple(self._work), return_exceptions=True)
        self._notes.close()
        await self._container.close()

    async def _look(self) -> AsyncIterator[MessageDelivery]:
        """Everything that is new in the container.

        Raises:
            SourceUnavailable: The service is away; the next look goes on.
            SourceRefused: The container refuses us.
        """
        now = self._place.clock().timestamp()
        self._seen.clear()
        async with contextlib.aclosing(self._container.pages()) as pages:
            while (page := await self._done(anext(pages, None))) is not None:
                async for delivery in self._read(self._due(page, now), now):
                    yield delivery
                    for again in self._looks.handed_back():
                        yield again
        if not self._looks.closing:
            self._notice_gone(now)
            self._notes.looked()

    def _due(self, page: list[Listed], now: float) -> list[Listed]:
        """The blobs of a page that have something new, with their tracks."""
        marks = self._notes.find([blob.locator for blob in page])
        due: list[Listed] = []
        for blob in page:
            track = self._tracks.get(blob.locator)
            last = track.last if track else marks.get(blob.locator)
            # What is in flight counts as read in its track, and not yet in its mark.
            if blob.modified > now - _WATCHED_S or track or (last and last.unread):
                self._seen.add(blob.locator)
            if self._is_due(blob, last, now):
                self._aside.pop(blob.locator, None)
                self._tracks.setdefault(blob.locator, Track(last)).reading = True
                due.append(blob)
        return due

    def _is_due(self, blob: Listed, last: Mark | None, now: float) -> bool:
        if last is None:
            wanted = blob.size > 0 and blob.modified >= self._since
        else:
            wanted = blob.etag != last.etag or not (last.whole or last.offset == blob.size)
        aside = self._aside.get(blob.locator)
        return wanted and not (aside and aside.holds(blob, now))

    async def _read(self, due: list[Listed], now: float) -> AsyncIterator[MessageDelivery]:
        """The bodies of some blobs; the first ones of the next blobs are read meanwhile."""
        waiting = deque(due)
        ahead: deque[tuple[Listed, asyncio.Future[Body | None]]] = deque()
        try:
            while (waiting or ahead) and not self._looks.closing:
                while waiting and len(ahead) < self._settings.read_ahead:
                    blob = waiting.popleft()
                    ahead.append((blob, self._begun(self._next(blob, now))))
                blob, first = ahead.popleft()
                async for delivery in self._bodies(blob, first, now):
                    yield delivery
        finally:
            for blob, work in ahead:
                work.cancel()
                self._end_reading(blob)
            for blob in waiting:
                self._end_reading(blob)
            await asyncio.gather(*(work for _, work in ahead), return_exceptions=True)

    async def _bodies(
        self, blob: Listed, first: asyncio.Future[Body | None], now: float
    ) -> AsyncIterator[MessageDelivery]:
        """The bodies of one blob, up to its present end."""
        try:
            found = await self._done(first)
            while found is not None:
                if found.replaced:
                    self._begin_again(blob)
                elif found.body:
                    yield self._deliver(blob, found)
                elif mark := self._tracks[blob.locator].looked(blob, found):
                    self._notes.keep(mark)
                if found.waits:
                    self._aside[blob.locator] = _Aside(blob.etag, math.inf, grows=_grows(blob, now))
                if (found.ended and not found.replaced) or not blob.size:
                    return
                found = await self._done(self._next(blob, now))
            if not self._looks.closing and self._tracks[blob.locator].last is None:
                self._place.warn(vanished_unread(blob))
        except SourceRefused as exc:
            self._place.warn(exc)
            self._aside[blob.locator] = _Aside(blob.etag, now + _REFUSED_AGAIN_S, grows=_grows(blob, now))
        finally:
            self._end_reading(blob)

    async def _next(self, blob: Listed, now: float) -> Body | None:
        async def read(start: int, size: int, etag: str) -> Read | None:
            return await self._container.read(blob, start, size, etag=etag)

        base = self._tracks[blob.locator].base
        if base and blob.size < base.offset:
            return Body(replaced=True)
        limit = self._place.max_body_bytes
        return await next_body(read, base, growing=_grows(blob, now), limit=limit, where=blob.locator)

    def _begin_again(self, blob: Listed) -> None:
        """The blob is not the one that was read; what was delivered of the other stays delivered."""
        last = self._tracks[blob.locator].last
        self._tracks[blob.locator] = Track(reading=True)
        self._notes.drop([blob.locator])
        if last and (blob.appended or blob.size < last.offset or last.unread):
            self._place.warn(replaced(blob, last))

    def _notice_gone(self, now: float) -> None:
        """Tell of blobs that were written to lately, or have unread bytes, and are not listed any longer."""
        self._notes.save()
        for mark in self._marks.watched(now - _WATCHED_S, self._container.prefix):
            if mark.locator in self._seen:
                continue
            self._place.warn(vanished(mark))
            self._notes.drop([mark.locator])
            self._tracks.pop(mark.locator, None)
            self._aside.pop(mark.locator, None)

    def _deliver(self, blob: Listed, found: Body) -> MessageDelivery:
        track = self._tracks[blob.locator]
        origin = Origin(
            transport=_NAME,
            locator=blob.locator,
            version=found.version,
            etag=found.etag,
            first_ordinal=0 if found.whole else track.ordinal,
        )
        reach = track.advance(blob, found)
        if track.last and track.last.unread:
            self._seen.add(blob.locator)

        def settled() -> None:
            mark = track.settle(reach)
            if mark is not None and self._tracks.get(blob.locator) is track:
                self._notes.keep(mark)
                self._release(blob.locator)

        def given_up(reason: str) -> None:
            self._place.warn(SourceRefused(f"collecting body: given up: {reason}", where=origin.locator))
            settled()

        return MessageDelivery(
            origin,
            found.body,
            self._place.clock(),
            on_settled=settled,
            on_returned=self._looks.hand_back,
            on_given_up=given_up,
        )

    def _end_reading(self, blob: Listed) -> None:
        if track := self._tracks.get(blob.locator):
            track.reading = False
            self._release(blob.locator)

    def _release(self, locator: str) -> None:
        """Keep in memory only what is being read or settled; of the rest the checkpoint knows."""
        track = self._tracks.get(locator)
        if track and not track.reading and not track.waits and not self._notes.waits(locator):
            del self._tracks[locator]

    def _begun(self, work: Awaitable[T]) -> asyncio.Future[T]:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def _done(self, work: Awaitable[T]) -> T | None:
        """What some work gives; None when the transport closes meanwhile."""
        if self._looks.closing and not isinstance(work, asyncio.Future):
            return None
        task = self._begun(work)
        try:
            return await task
        except asyncio.CancelledError:
            if self._looks.closing:
                return None
            raise

    def _save(self) -> None:
        self._notes.save()


def _grows(blob: Listed, now: float) -> bool:
    return blob.appended and not blob.sealed and now - blob.modified < _GROWS_S


def _seconds(since: dt.datetime | dt.date | None) -> float:
    if since is None:
        return 0.0
    if not isinstance(since, dt.datetime):
        since = dt.datetime.combine(since, dt.time(), dt.UTC)
    return since.timestamp()
