"""Objects of S3 that are there already: a bucket is listed once, and the collector ends.

Delivery: at least once. `<state>/checkpoints/<collector>.json` says up to which key every body is acknowledged; a run
          that was interrupted goes on there, a crash repeats the last second and what was in work.
Again:    A run after a finished one lists everything and reads what was written since that began (an hour earlier, for
          uploads in parts count from their begin), and what could not be read then.
Refused:  An object that is missing, forbidden or too large is told, and hides no other: it is noted, the run ends with
          an error, the next one tries it again. At 1,000 of them a run ends at once.
Bounded:  `fetch_ahead` objects, about 64 MiB of them, lie ready; a thousand keys are listed when few are left.
Order:    That of the keys' bytes. Of a key only the current version is read; one that is overwritten before it is
          read is told.
Tests:    tests/ingest/transports/s3_listing/, on moto
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ingest.schema.errors import SkytrailError, SourceRefused
from ingest.transports.aws.bodies import ObjectBodies
from ingest.transports.aws.calls import AwsCalls
from ingest.transports.aws.objects import ObjectReader, ObjectRef, overwritten
from ingest.transports.aws.patience import Patience
from ingest.transports.aws.saving import Saving
from ingest.transports.contract import Place
from ingest.transports.messages.delivery import MessageDelivery
from ingest.transports.messages.progress import Progress, Reach
from ingest.transports.s3_listing.checkpoint import Checkpoint
from ingest.transports.s3_listing.selection import selection_of
from ingest.transports.s3_listing.settings import S3ListingSettings

_NAME = "s3_listing"
_ASKED_AT_ONCE = 1000  # keys; the most that S3 names in an answer
_FEW = 100  # objects waiting to be fetched, below which keys are listed
_OVERLAP = dt.timedelta(hours=1)
_MOST_FAILURES = 1000  # of one run: what is refused so often is refused as a whole
_SHOWN = 5


async def open_transport(settings: S3ListingSettings, place: Place, patience: Patience | None = None) -> S3Listing:
    """Ask for the first key.

    Raises:
        SourceUnavailable: AWS does not answer.
        SourceRefused: There is no such bucket, or we may not list it.
        ConfigError: The checkpoint can't be read.
    """
    calls = AwsCalls(settings, threads=settings.fetch_ahead + 1)
    source = settings.model_dump_json(include={"bucket", "prefix", "since", "until", "time_of"})
    try:
        checkpoint = Checkpoint(place.state_dir / "checkpoints" / f"{place.name}.json", source)
        listing = S3Listing(settings, place, calls, checkpoint, patience or Patience(place.warn))
        await listing.look()
    except SkytrailError:
        await calls.close()
        raise
    return listing


class _Listed(NamedTuple):
    """A key as the bucket lists it."""

    ref: ObjectRef
    written_at: dt.datetime


@dataclass(frozen=True, slots=True)
class _Page:
    """Some keys; the next ones come after the last of them."""

    found: list[_Listed]
    last: bool


class S3Listing:
    """See the module."""

    def __init__(
        self, settings: S3ListingSettings, place: Place, calls: AwsCalls, checkpoint: Checkpoint, patience: Patience
    ) -> None:
        self._settings = settings
        self._place = place
        self._calls = calls
        self._checkpoint = checkpoint
        self._patience = patience
        self._selection = selection_of(settings)
        self._saving = Saving(checkpoint.save, checkpoint.file, place.warn)
        self._progress: Progress[str] = Progress()
        self._page: asyncio.Task[_Page] | None = None
        self._listed_to = ""
        self._all_listed = False
        self._changed = asyncio.Event()
        self._bodies: ObjectBodies[Reach[str] | None] = ObjectBodies(
            place, patience, most=settings.fetch_ahead, on_change=self._changed.set, on_done=self._settle
        )
        self._open = 0  # objects that are not settled
        self._failures = 0
        self._closing = False

    async def look(self) -> None:
        """Ask for one key.

        Raises:
            SourceUnavailable: AWS does not answer.
            SourceRefused: AWS says no.
        """
        await self._list("", most=1)

    async def deliveries(self) -> AsyncIterator[MessageDelivery]:
        """See `Transport.deliveries`; ends when every object is settled."""
        self._saving.start()
        self._listed_to = self._checkpoint.begin(self._place.clock()).after
        for key in tuple(self._checkpoint.failed):
            self._add(ObjectRef(self._settings.bucket, key), None)
        while not self._closing:
            self._changed.clear()
            self._take_page()
            if self._failures >= _MOST_FAILURES:
                self._tell_failed()
            if again := self._bodies.handed_back():
                yield again
            elif bodies := self._bodies.next_object():
                async for delivery in bodies:
                    yield delivery
            elif self._all_listed and not self._open:
                break
            else:
                await self._changed.wait()
        if not self._closing:
            self._checkpoint.finish()
            self._tell_failed()

    async def close(self) -> None:
        """See `Transport.close`: what is acknowledged is kept in the checkpoint."""
        self._closing = True
        self._changed.set()
        await self._bodies.close()
        if self._page is not None:
            self._page.cancel()
            await asyncio.gather(self._page, return_exceptions=True)
        await self._saving.close()
        await self._calls.close()

    def _take_page(self) -> None:
        """List more keys when few objects are left, and note what the last question brought."""
        if self._page and self._page.done():
            self._note(self._page.result())
            self._page = None
        if self._page is None and not self._all_listed and self._bodies.later < _FEW:
            after = self._listed_to
            self._page = asyncio.create_task(self._patience.forever(lambda: self._list(after, most=_ASKED_AT_ONCE)))
            self._page.add_done_callback(lambda _task: self._changed.set())

    def _note(self, page: _Page) -> None:
        seen_until = self._checkpoint.seen_until
        for ref, written_at in page.found:
            seen = seen_until is not None and written_at < seen_until - _OVERLAP
            if not seen and self._selection.wants(ref.key, written_at):
                self._add(ref, self._progress.deliver(ref.key))
        if page.found:
            self._listed_to = page.found[-1].ref.key
            # What was left out behind the last wanted object is done as well, or a range that begins late would make
            # each restart list everything before it.
            self._reach(self._progress.deliver(self._listed_to))
        self._all_listed = page.last

    def _add(self, ref: ObjectRef, reach: Reach[str] | None) -> None:
        self._open += 1
        self._bodies.add(ObjectReader(self._calls, ref, transport=_NAME, limit=self._place.max_body_bytes), reach)

    def _settle(self, reach: Reach[str] | None, reader: ObjectReader, error: SkytrailError | None) -> None:
        """An object is done, or could not be read."""
        key = reader.ref.key
        if lost := overwritten(reader):
            self._place.warn(lost)
        if error is not None:
            self._failures += 1
            self._place.warn(error)
            self._checkpoint.fail(key, str(error))
        else:
            self._checkpoint.mend(key)
        if reach is not None:
            self._reach(reach)
        self._open -= 1
        self._changed.set()

    def _reach(self, reach: Reach[str]) -> None:
        key = self._progress.settle(reach)
        if key is not None:
            self._checkpoint.reach(key)

    async def _list(self, after: str, *, most: int) -> _Page:
        parameters: dict[str, Any] = {"Bucket": self._settings.bucket, "MaxKeys": most}
        if self._settings.prefix:
            parameters["Prefix"] = self._settings.prefix
        if after:
            parameters["StartAfter"] = after
        where = f"{self._settings.bucket}/{self._settings.prefix}"
        answer: Mapping[str, Any] = await self._calls(
            "s3", "list_objects_v2", where=where, needs="IsTruncated", **parameters
        )
        found = [
            _Listed(
                ObjectRef(self._settings.bucket, each["Key"], etag=each["ETag"].strip('"'), size=each["Size"]),
                each["LastModified"],
            )
            for each in answer.get("Contents", ())
        ]
        return _Page(found, last=not answer["IsTruncated"])

    def _tell_failed(self) -> None:
        failed = self._checkpoint.failed
        if not failed:
            return
        shown = "; ".join(f"{key}: {why}" for key, why in list(failed.items())[:_SHOWN])
        more = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        raise SourceRefused(
            f"reading {len(failed)} of the objects: {shown}{more}",
            where=f"{self._settings.bucket}/{self._settings.prefix}",
            mend="mend that and run it again: what failed is tried again, everything else is done",
        )
