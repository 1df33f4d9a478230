"""Files, directory trees, globs and standard input.

Delivery: at least once. With a checkpoint a restart goes on where the last acknowledged body ended; a crash repeats at
          most the last second of acknowledgements, and the records' ids make the repeats duplicates. Without one
          (`ingest files` as a single run) everything named is read.
Cutting:  Files of lines come in bodies of about 4 MiB cut at line ends; gzip (known by its first bytes, not its name)
          and documents that span lines come whole, up to the limit for inflated bodies.
Follow:   New files, appended lines and rotated files are seen at each look. A file is known by device, inode and
          fingerprints: renamed it is not read again, truncated or replaced it is read from the start, and that is
          told; so is one that vanishes before all that was seen of it is read. An unfinished last line waits for its
          end; a document until it is finished and did not change between two looks.
Streams:  What can't be read twice (standard input, pipes) and was read and not settled at a stop is told.
Known:    A log rotated by copying (`copytruncate`) leaves a copy that is read as a new file, and lines written between
          the last look and the truncation are lost with it at the source: rotate by renaming.
Tests:    tests/ingest/transports/test_files*.py
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from ingest.parsing.body_shape import count_lines
from ingest.schema.envelope import Origin
from ingest.schema.errors import SourceRefused, SourceUnavailable, StoreUnavailable
from ingest.transports.contract import Place
from ingest.transports.files.checkpoint import Checkpoint
from ingest.transports.files.listing import list_files, refusal
from ingest.transports.files.reading import Chunk, Key, Look, look, read_chunk
from ingest.transports.files.settings import FilesSettings
from ingest.transports.files.stream import stream_bodies
from ingest.transports.files.track import Track, goes_on
from ingest.transports.files.troubles import left_of_stream, rewritten, vanished_unread
from ingest.transports.messages.delivery import MessageDelivery

_NAME = "files"
_STDIN = "-"
_SAVE_EVERY_S = 1.0


async def open_transport(settings: FilesSettings, place: Place) -> FilesTransport:
    """The files that a collector of the settings names, always with a checkpoint.

    Raises:
        ConfigError: The checkpoint can't be read.
    """
    checkpoint = settings.checkpoint_file or place.state_dir / "checkpoints" / f"{place.name}.json"
    return FilesTransport(
        settings.paths,
        place,
        follow=settings.follow,
        checkpoint_file=checkpoint,
        poll_interval_s=settings.poll_interval_s,
    )


class FilesTransport:
    """Reads files once, or follows them.

    Args:
        paths: Files, directories, globs; `-` is standard input.
        follow: Go on looking until closed.
        checkpoint_file: Where progress is kept; None reads everything named.
        stdin: Descriptor that `-` reads.
    """

    def __init__(
        self,
        paths: tuple[str, ...],
        place: Place,
        *,
        follow: bool = False,
        checkpoint_file: Path | None = None,
        poll_interval_s: float = 1.0,
        stdin: int | None = None,
    ) -> None:
        self._paths = tuple(path for path in paths if path != _STDIN)
        self._streams = [_STDIN] if _STDIN in paths else []
        self._place = place
        self._follow = follow
        self._poll_interval_s = poll_interval_s
        self._limit = place.max_body_bytes
        self._stdin = stdin
        self._checkpoint = Checkpoint(checkpoint_file)
        self._skip = frozenset({checkpoint_file.resolve()} if checkpoint_file else ())
        self._tracks: dict[Key, Track] = {}
        self._again: deque[MessageDelivery] = deque()
        self._unsettled: set[MessageDelivery] = set()
        self._streamed: set[MessageDelivery] = set()
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._save_at = 0.0
        self._problems: dict[str, SourceRefused] = {}

    async def deliveries(self) -> AsyncIterator[MessageDelivery]:
        """See `Transport.deliveries`."""
        while not self._closing.is_set():
            async for delivery in self._look_at_all():
                yield delivery
                while self._again:
                    yield self._again.popleft()
            if not self._follow:
                break
            self._save()
            await self._wait(self._poll_interval_s)
            while self._again:
                yield self._again.popleft()
        while self._unsettled and not self._closing.is_set():
            while self._again:
                yield self._again.popleft()
            await self._wait(None)
        self._save()
        if self._problems and not self._closing.is_set():
            raise _summary(list(self._problems.values()))

    async def close(self) -> None:
        """See `Transport.close`."""
        if not self._closing.is_set():
            for delivery in self._streamed & self._unsettled:
                self._place.warn(left_of_stream(delivery.origin.locator, len(delivery.body)))
        self._closing.set()
        self._changed.set()
        self._save()

    async def _wait(self, seconds: float | None) -> None:
        """Until a body was settled or handed back, the transport closes, or the time is over."""
        self._changed.clear()
        if self._closing.is_set() or self._again or (seconds is None and not self._unsettled):
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def _look_at_all(self) -> AsyncIterator[MessageDelivery]:
        paths, problems = await asyncio.to_thread(list_files, self._paths, self._skip)
        for problem in problems:
            self._note(problem)
        worth, there = await asyncio.to_thread(self._worth_reading, paths)
        if there is not None and not problems:
            self._tell_gone(there)
        for path in worth:
            async for delivery in self._look_at(path):
                yield delivery
            if self._closing.is_set():
                return
        if not self._problems:
            self._checkpoint.forget(self._place.clock().timestamp())
        while self._streams and not self._closing.is_set():
            async for delivery in self._stream(self._streams.pop()):
                yield delivery

    def _worth_reading(self, paths: list[Path]) -> tuple[list[Path], set[Key] | None]:
        """Leave out what did not change since it was read to its end: most of a large tree, at each look.

        Returns:
            The others, and which files there are; None where that is not known of all.
        """
        worth: list[Path] = []
        there: set[Key] = set()
        known = True
        for path in paths:
            try:
                found = look(path)
                there.add(found.key)
                track = self._tracks.get(found.key)
                if track and track.seen == found and track.path == path and found in (track.refused, track.ended):
                    continue
            except OSError as exc:  # told where it is read
                known = known and isinstance(exc, FileNotFoundError)
            worth.append(path)
        return worth, there if known else None

    def _tell_gone(self, there: set[Key]) -> None:
        """Tell of files that are not there any longer and of which we know that more was to be read."""
        for key, track in tuple(self._tracks.items()):
            if key not in there and track.unread:
                self._place.warn(vanished_unread(track))
                del self._tracks[key]

    async def _look_at(self, path: Path) -> AsyncIterator[MessageDelivery]:
        found: Look | None = None
        track: Track | None = None
        try:
            found = await asyncio.to_thread(look, path)
            if not found.regular:
                self._streams.append(str(path))
                return
            track = await self._track(path, found)
            rested_s = track.note(found, asyncio.get_running_loop().time())
            while chunk := await self._next_chunk(track, rested_s):
                yield self._delivery_of(track, chunk)
                if track.offset >= chunk.size:
                    break  # what is written from now on is seen at the next look, or by the next run
            if track.offset == found.size:
                track.ended = found
            self._problems.pop(str(path), None)
        except FileNotFoundError:
            # Between listing and opening: rotated, or cleaned away by its owner before we could read it.
            mend = "if it was not merely renamed, its records are lost at the source: keep files longer"
            self._place.warn(SourceUnavailable("opening file: it vanished", where=str(path), mend=mend))
        except SourceRefused as exc:
            if track is not None:
                track.refused = found
            self._note(exc)
        except OSError as exc:
            self._note(refusal("reading file", exc, path))

    async def _next_chunk(self, track: Track, rested_s: float) -> Chunk | None:
        if self._closing.is_set():
            return None
        return await asyncio.to_thread(
            read_chunk,
            track.path,
            track.key,
            track.offset,
            limit=self._limit,
            growing=self._follow,
            rested_s=rested_s,
        )

    async def _track(self, path: Path, found: Look) -> Track:
        """The track of this file, begun anew when the file no longer holds what was read of it."""
        track = self._tracks.get(found.key)
        if track is None:
            mark = self._checkpoint.get(found.key)
            track = Track.resumed(found.key, mark) if mark else Track(found.key, path)
            self._checkpoint.saw(found.key, self._place.clock().timestamp())
        before, track.path = track.path, path
        if track.last and track.seen != found and not await asyncio.to_thread(goes_on, track, found):
            # A path that had another file since has a new one now, whose inode was free again: a log is rotated so.
            if before == path and not track.whole and not self._checkpoint.was_succeeded(found.key, track.last):
                self._place.warn(rewritten(track, found))
            track = Track(found.key, path)
        self._tracks[found.key] = track
        return track

    def _delivery_of(self, track: Track, chunk: Chunk) -> MessageDelivery:
        origin = Origin(transport=_NAME, locator=str(track.path), first_ordinal=track.ordinal)
        reach = track.advance(chunk, self._place.clock().timestamp())

        def acknowledged() -> None:
            mark = track.settle(reach)
            if mark is not None and self._tracks.get(track.key) is track:
                self._checkpoint.put(track.key, mark)

        return self._new(origin, chunk.body, acknowledged)

    def _new(self, origin: Origin, body: bytes, acknowledged: Callable[[], None]) -> MessageDelivery:
        def settled() -> None:
            acknowledged()
            self._unsettled.discard(delivery)
            self._streamed.discard(delivery)
            if not self._unsettled and not self._follow:
                self._changed.set()
            if asyncio.get_running_loop().time() >= self._save_at:
                self._save()

        def returned(delivery: MessageDelivery) -> None:
            self._again.append(delivery)
            self._changed.set()

        def given_up(reason: str) -> None:
            self._note(SourceRefused(f"collecting body: given up: {reason}", where=origin.locator))
            settled()

        delivery = MessageDelivery(
            origin, body, self._place.clock(), on_settled=settled, on_returned=returned, on_given_up=given_up
        )
        self._unsettled.add(delivery)
        return delivery

    async def _stream(self, path: str) -> AsyncIterator[MessageDelivery]:
        if path != _STDIN:
            descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_NONBLOCK)
        else:
            descriptor = sys.stdin.fileno() if self._stdin is None else self._stdin
        ordinal = 0
        try:
            async for body in stream_bodies(
                descriptor, self._closing, self._limit, lambda left: self._place.warn(left_of_stream(path, left))
            ):
                origin = Origin(transport=_NAME, locator=path, first_ordinal=ordinal)
                ordinal += count_lines(body)
                delivery = self._new(origin, body, lambda: None)
                self._streamed.add(delivery)
                yield delivery
        finally:
            if path != _STDIN:
                os.close(descriptor)

    def _save(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            self._checkpoint.save()
        except OSError as exc:
            # Going on is right: what is not noted is read again after a restart, never skipped.
            mend = "free space or correct permissions; until then a restart repeats what was read"
            where = str(self._checkpoint.file)
            self._place.warn(StoreUnavailable(f"saving checkpoint: {exc.strerror or exc}", where=where, mend=mend))
        # A checkpoint of very many files is slow to write: then it is written less often, not all the time.
        self._save_at = loop.time() + max(_SAVE_EVERY_S, 20 * (loop.time() - began))

    def _note(self, problem: SourceRefused) -> None:
        """Keep a problem for the end; tell it once now when there may be no end."""
        if str(self._problems.get(problem.where)) != str(problem):
            self._place.warn(problem)
        self._problems[problem.where] = problem


def _summary(problems: list[SourceRefused]) -> SourceRefused:
    if len(problems) == 1:
        return problems[0]
    shown = "; ".join(f"{each.where}: {each.what}" for each in problems[:5])
    more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""  # noqa: PLR2004 - as many as are shown
    return SourceRefused(f"reading {len(problems)} of the paths: {shown}{more}", mend=problems[0].mend)
