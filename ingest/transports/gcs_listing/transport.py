"""Objects of a bucket of Cloud Storage, found by listing: what a log sink writes there, or an archive of old logs.

Bodies:   Objects of lines come in bodies of about 4 MiB cut at line ends; gzip and documents come whole.
Delivery: at least once. The checkpoint, a file of this machine, says of each object up to where all is acknowledged.
          An object that was replaced has another generation, and is read from its start.
Order:    That of the names; objects are read ahead.
Troubles: An object that can't be read is told, tried again after an hour or when it was replaced, and hides no other.
Bounded:  `fetch_ahead` objects, about 64 MiB of them, lie ready; the listing goes on when they are taken.
          https://cloud.google.com/storage/docs/listing-objects
Tests:    tests/ingest/transports/gcs_listing/
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from ingest.backoff import Backoff
from ingest.schema.errors import SkytrailError, SourceRefused, StoreUnavailable, TransientError
from ingest.transports.contract import Place
from ingest.transports.gcs_listing.bucket import Listed, Page, page_of
from ingest.transports.gcs_listing.marks import Mark, Marks
from ingest.transports.gcs_listing.settings import GcsListingSettings
from ingest.transports.google_cloud.objects import ObjectDelivery, ObjectReader, Piece
from ingest.transports.google_cloud.read_ahead import ReadAhead
from ingest.transports.google_cloud.storage import Storage
from ingest.transports.messages.progress import Progress
from ingest.transports.telling import Told

_NAME = "gcs_listing"
_PATIENCE_S = 60.0  # with one object that can't be read now; the next look tries again
_REFUSED_AGAIN_S = 3600.0
_SAVE_EVERY_S = 1.0
_DAY_S = 86400
_uniform = random.SystemRandom().uniform


async def open_transport(settings: GcsListingSettings, place: Place) -> GcsListing:
    """Ask for a page of the bucket, and open the checkpoint.

    Raises:
        ConfigError: The bucket refuses us, the checkpoint can't be read, or a setting is unsafe.
    """
    transport = GcsListing(settings, place)
    try:
        await transport.start()
    except BaseException:
        await transport.close()
        raise
    return transport


@dataclass(slots=True, eq=False)
class _Object:
    """An object that is being read, or whose bodies are not all settled."""

    reader: ObjectReader
    progress: Progress[Mark] = field(default_factory=Progress)
    reading: bool = True


class GcsListing:
    """See the module.

    Args:
        backoff: Waiting for an object that can't be read now.

    Raises:
        ConfigError: The checkpoint can't be read, or the address is unsafe.
    """

    def __init__(self, settings: GcsListingSettings, place: Place, backoff: Backoff | None = None) -> None:
        self._settings = settings
        self._place = place
        self._backoff = replace(backoff or Backoff(), give_up_after_s=_PATIENCE_S)
        self._storage = Storage(settings.credentials_file, settings.storage_endpoint, threads=settings.fetch_ahead + 1)
        self._marks = Marks(
            settings.checkpoint_file or place.state_dir / "checkpoints" / f"{place.name}.objects.sqlite"
        )
        self._ahead: ReadAhead[_Object] = ReadAhead(settings.fetch_ahead, self._next, lambda: None)
        self._objects: dict[str, _Object] = {}
        self._refused: dict[str, tuple[int, float]] = {}
        self._unread: set[str] = set()
        self._unkept: dict[str, Mark] = {}
        self._again: deque[ObjectDelivery] = deque()
        self._wake = asyncio.Event()
        self._told = Told()
        self._closing = False
        self._save_at = 0.0

    async def start(self) -> None:
        """Look at the bucket.

        Raises:
            SourceRefused: It refuses us.
        """
        patience = Backoff(first_s=1.0, cap_s=30.0, alarm_after_s=0.0, on_alarm=lambda error, _: self._tell(error))
        await patience.forever(lambda: self._page(""))

    async def deliveries(self) -> AsyncIterator[ObjectDelivery]:
        """See `Transport.deliveries`; ends by itself only with `once`."""
        pause = first_pause = 1.0
        while not self._closing:
            try:
                async for delivery in self._look():
                    yield delivery
                if self._settings.once:
                    async for delivery in self._leftovers():
                        yield delivery
                    return
                pause, rest = first_pause, self._settings.poll_interval_s
            except TransientError as exc:
                self._tell(exc)
                pause, rest = min(30.0, 2 * pause), _uniform(0, pause)
            except SourceRefused as exc:
                if self._settings.once:
                    raise
                self._tell(exc)
                rest = self._settings.poll_interval_s
            until = asyncio.get_running_loop().time() + rest
            while not self._closing and (left := until - asyncio.get_running_loop().time()) > 0:
                while self._again:
                    yield self._again.popleft()
                await self._wait(left)

    async def close(self) -> None:
        """See `Transport.close`."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        await self._ahead.end()
        await self._storage.close()
        self._save()
        self._marks.close()

    async def _look(self) -> AsyncIterator[ObjectDelivery]:
        """Everything that is new in the bucket.

        Raises:
            SourceUnavailable: The service is away; the next look goes on.
            SourceRefused: The bucket refuses us.
        """
        now = self._place.clock().timestamp()
        self._unread.clear()
        self._refused = {name: (made, until) for name, (made, until) in self._refused.items() if until > now}
        page = await self._page("")
        while not self._closing:
            for each in self._due(page.objects, now):
                self._ahead.add(each)
            while len(self._ahead) and not self._closing:
                async for delivery in self._bodies(now):
                    yield delivery
                    while self._again:
                        yield self._again.popleft()
            if not page.next:
                self._noted(self._marks.forget, _day(now))
                self._save()
                return
            page = await self._page(page.next)

    async def _leftovers(self) -> AsyncIterator[ObjectDelivery]:
        """What is handed back, until everything is settled.

        Raises:
            SourceRefused: Some objects could not be read.
        """
        while self._objects and not self._closing:
            while self._again:
                yield self._again.popleft()
            await self._wait(_SAVE_EVERY_S)
        if self._unread and not self._closing:
            what = f"reading bucket: {len(self._unread)} objects could not be read"
            mend = "they were named before; mend that and run it again: what was read is not read again"
            raise SourceRefused(what, where=f"{self._settings.bucket}/{self._settings.prefix}", mend=mend)

    async def _page(self, token: str) -> Page:
        return await page_of(self._storage, self._settings.bucket, self._settings.prefix, token)

    def _due(self, listed: Sequence[Listed], now: float) -> list[_Object]:
        """The objects of a page that have something new."""
        marks = self._marks.find([each.ref.locator for each in listed])
        self._noted(self._marks.saw, marks, _day(now))
        due: list[_Object] = []
        for each in listed:
            mark = marks.get(each.ref.locator)
            if mark and mark.generation != each.ref.generation:
                mark = None
            if self._is_due(each, mark, now):
                limit = self._place.max_body_bytes
                offset, ordinal = (mark.offset, mark.ordinal) if mark else (0, 0)
                reader = ObjectReader(
                    self._storage, each.ref, transport=_NAME, limit=limit, offset=offset, ordinal=ordinal
                )
                self._objects[each.ref.locator] = _Object(reader)
                due.append(self._objects[each.ref.locator])
        return due

    def _is_due(self, each: Listed, mark: Mark | None, now: float) -> bool:
        if each.ref.locator in self._objects or not each.ref.size:
            return False
        generation, again_at = self._refused.get(each.ref.locator, (0, 0.0))
        if generation == each.ref.generation and now < again_at:
            return False
        if mark is not None:
            return not mark.done
        since, until = self._settings.since, self._settings.until
        return (since is None or each.made >= _moment(since)) and (until is None or each.made < _moment(until))

    async def _next(self, one: _Object) -> Piece | None:
        return await self._backoff.forever(one.reader.next)

    async def _bodies(self, now: float) -> AsyncIterator[ObjectDelivery]:
        """The bodies of the object that waits first."""
        async with contextlib.aclosing(self._ahead.pieces()) as pieces:
            async for one, piece in pieces:
                if self._closing:
                    return
                ended = not isinstance(piece, Piece) or piece.last
                if isinstance(piece, SkytrailError):
                    self._fail(one, piece, now)
                elif piece is not None:
                    yield self._delivery_of(one, piece)
                if ended:
                    one.reading = False
                    self._release(one)

    def _fail(self, one: _Object, error: SkytrailError, now: float) -> None:
        self._place.warn(error)
        ref = one.reader.ref
        self._unread.add(ref.locator)
        if isinstance(error, SourceRefused):
            self._refused[ref.locator] = (ref.generation, now + _REFUSED_AGAIN_S)

    def _delivery_of(self, one: _Object, piece: Piece) -> ObjectDelivery:
        ref = one.reader.ref
        reach = one.progress.deliver(
            Mark(
                locator=ref.locator,
                generation=ref.generation,
                offset=piece.next_offset,
                ordinal=piece.next_ordinal,
                done=piece.last,
            )
        )

        async def settled(given_up: str) -> None:
            if given_up:
                self._place.warn(SourceRefused(f"collecting body: given up: {given_up}", where=ref.locator))
            mark = one.progress.settle(reach)
            if mark is not None:
                self._unkept[ref.locator] = mark
            if asyncio.get_running_loop().time() >= self._save_at:
                self._save()
            self._release(one)

        def returned(delivery: ObjectDelivery) -> None:
            self._again.append(delivery)
            self._wake.set()

        return ObjectDelivery(piece, self._place.clock(), settled, returned)

    def _release(self, one: _Object) -> None:
        """Keep in memory only what is being read or settled; of the rest the checkpoint knows."""
        locator = one.reader.ref.locator
        if not one.reading and not one.progress.unsettled and locator not in self._unkept:
            self._objects.pop(locator, None)

    async def _wait(self, seconds: float) -> None:
        """Until something was handed back or settled, the transport closes, or the time is over."""
        self._wake.clear()
        if self._closing or self._again:
            return
        self._save()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    def _save(self) -> None:
        """Write what is acknowledged into the checkpoint; what could not be written is kept for the next time."""
        self._save_at = asyncio.get_running_loop().time() + _SAVE_EVERY_S
        day = _day(self._place.clock().timestamp())
        for locator, mark in tuple(self._unkept.items()):
            if not self._noted(self._marks.put, mark, day):
                return
            del self._unkept[locator]
            if locator in self._objects:
                self._release(self._objects[locator])
        self._noted(self._marks.save)

    def _noted(self, note: Callable[..., None], *arguments: object) -> bool:
        """Write something into the checkpoint; a full disk is told, and does not stop the reading."""
        try:
            note(*arguments)
        except StoreUnavailable as exc:
            self._tell(exc)
            return False
        return True

    def _tell(self, trouble: SkytrailError) -> None:
        if self._told.is_news(trouble, asyncio.get_running_loop().time()):
            self._place.warn(trouble)


def _moment(given: dt.datetime | dt.date) -> dt.datetime:
    return given if isinstance(given, dt.datetime) else dt.datetime.combine(given, dt.time(), dt.UTC)


def _day(now: float) -> int:
    return int(now // _DAY_S)
