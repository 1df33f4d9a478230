"""Objects of a bucket of Cloud Storage, found by listing: what a log sink writes there, or an archive of old logs.

Bodies:   Objects of lines come in bodies of about 4 MiB cut at line ends; gzip and documents come whole.
Delivery: at least once. The checkpoint, a file of this machine, says of each object up to where all is acknowledged.
          An object that was replaced has another generation, and is read from its start; that it was replaced or
          vanished before its end was read is told.
Order:    That of the names; objects are read ahead.
Troubles: An object that can't be read is told, tried again after an hour or when it was replaced, and hides no other.
Bounded:  `fetch_ahead` objects, about 64 MiB of them, lie ready; the listing goes on when they are taken.
          https://cloud.google.com/storage/docs/listing-objects
Tests:    tests/ingest/transports/gcs_listing/
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from ingest.backoff import Backoff
from ingest.schema.errors import SkytrailError, SourceRefused
from ingest.transports.checkpoints.notes import Notes
from ingest.transports.contract import Place
from ingest.transports.gcs_listing.bucket import Listed, Page, page_of
from ingest.transports.gcs_listing.marks import Mark, Marks, lost
from ingest.transports.gcs_listing.settings import GcsListingSettings
from ingest.transports.google_cloud.objects import ObjectDelivery, ObjectReader, Piece
from ingest.transports.google_cloud.read_ahead import ReadAhead
from ingest.transports.google_cloud.storage import Storage
from ingest.transports.looks import Looks
from ingest.transports.messages.progress import Progress

_NAME = "gcs_listing"
_PATIENCE_S = 60.0  # with one object that can't be read now; the next look tries again
_REFUSED_AGAIN_S = 3600.0
_LEFT_S = 1.0  # between looks at what is not settled at the end


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
        file = settings.checkpoint_file or place.state_dir / "checkpoints" / f"{place.name}.objects.sqlite"
        self._looks: Looks[ObjectDelivery] = Looks(place.warn, self._save)
        self._marks = Marks(file)
        self._notes: Notes[Mark] = Notes(self._marks, place.clock, self._looks.tell, self._release)
        self._ahead: ReadAhead[_Object] = ReadAhead(settings.fetch_ahead, self._next, lambda: None)
        self._objects: dict[str, _Object] = {}
        self._refused: dict[str, tuple[int, float]] = {}
        self._unread: set[str] = set()

    async def start(self) -> None:
        """Look at the bucket.

        Raises:
            SourceRefused: It refuses us.
        """
        await self._looks.begin(lambda: self._page(""))

    async def deliveries(self) -> AsyncIterator[ObjectDelivery]:
        """See `Transport.deliveries`; ends by itself only with `once`."""
        settings = self._settings
        pause = settings.poll_interval_s
        async for delivery in self._looks.repeated(self._look, rest_s=pause, refused_rest_s=pause, once=settings.once):
            yield delivery
        if settings.once:
            async for delivery in self._leftovers():
                yield delivery

    async def close(self) -> None:
        """See `Transport.close`."""
        self._looks.stop()
        await self._ahead.end()
        await self._storage.close()
        self._notes.close()

    async def _look(self) -> AsyncIterator[ObjectDelivery]:
        """Everything that is new in the bucket.

        Raises:
            SourceUnavailable: The service is away; the next look goes on.
            SourceRefused: The bucket refuses us.
        """
        now = self._place.clock().timestamp()
        self._unread.clear()
        gone = set(self._marks.unfinished(f"{self._settings.bucket}/{self._settings.prefix}"))
        self._refused = {name: (made, until) for name, (made, until) in self._refused.items() if until > now}
        page = await self._page("")
        while not self._looks.closing:
            gone.difference_update(each.ref.locator for each in page.objects)
            for each in self._due(page.objects, now):
                self._ahead.add(each)
            while len(self._ahead) and not self._looks.closing:
                async for delivery in self._bodies(now):
                    yield delivery
                    for again in self._looks.handed_back():
                        yield again
            if not page.next:
                self._tell_gone(gone - self._objects.keys())  # of those in flight all may have been read
                self._notes.looked()
                return
            page = await self._page(page.next)

    async def _leftovers(self) -> AsyncIterator[ObjectDelivery]:
        """What is handed back, until everything is settled.

        Raises:
            SourceRefused: Some objects could not be read.
        """
        while self._objects and not self._looks.closing:
            for delivery in self._looks.handed_back():
                yield delivery
            await self._looks.wait(_LEFT_S)
        if self._unread and not self._looks.closing:
            what = f"reading bucket: {len(self._unread)} objects could not be read"
            mend = "they were named before; mend that and run it again: what was read is not read again"
            raise SourceRefused(what, where=f"{self._settings.bucket}/{self._settings.prefix}", mend=mend)

    async def _page(self, token: str) -> Page:
        return await page_of(self._storage, self._settings.bucket, self._settings.prefix, token)

    def _due(self, listed: Sequence[Listed], now: float) -> list[_Object]:
        """The objects of a page that have something new."""
        marks = self._notes.find([each.ref.locator for each in listed])
        due: list[_Object] = []
        for each in listed:
            mark = marks.get(each.ref.locator)
            if mark and mark.generation != each.ref.generation:
                if not mark.done and each.ref.locator not in self._objects:
                    self._looks.tell(lost("was replaced", mark))
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

    def _tell_gone(self, locators: set[str]) -> None:
        """Tell of objects that are not listed any longer, and were read in part."""
        for mark in self._notes.find(sorted(locators)).values():
            self._place.warn(lost("vanished", mark))
        self._notes.drop(locators)

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
                if self._looks.closing:
                    return
                ended = not isinstance(piece, Piece) or piece.last
                if isinstance(piece, SkytrailError):
                    self._fail(one, piece, now)
                elif piece is not None:
                    yield self._delivery_of(one, piece)
                if ended:
                    one.reading = False
                    self._release(one.reader.ref.locator)

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
                self._notes.keep(mark)
            self._release(ref.locator)

        return ObjectDelivery(piece, self._place.clock(), settled, self._looks.hand_back)

    def _release(self, locator: str) -> None:
        """Keep in memory only what is being read or settled; of the rest the checkpoint knows."""
        one = self._objects.get(locator)
        if one and not one.reading and not one.progress.unsettled and not self._notes.waits(locator):
            del self._objects[locator]

    def _save(self) -> None:
        self._notes.save()


def _moment(given: dt.datetime | dt.date) -> dt.datetime:
    return given if isinstance(given, dt.datetime) else dt.datetime.combine(given, dt.time(), dt.UTC)
