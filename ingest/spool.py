"""Keeps bodies on disk while the brokers are away, and gives them back in order.

Append-only segment files of frames; an append resolves after fsync, and appends that come together share one. What is
drained is noted in a position file, replaced as a whole; a segment is deleted once all of it is drained. A crash
repeats what was drained since the last note, and never loses what an append reported.

Layout of the directory: ``00000001.spool``, ``00000002.spool``, …, ``position.json``, ``lock``, ``*.damaged`` (bytes
that are no frame but lay before a whole one: kept for a person to look at).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ingest.durable_files import replace_durably, sync_directory
from ingest.schema.errors import ConfigError, IntegrityError, StoreUnavailable
from ingest.spool_frames import HEAD_BYTES, MAGIC, NONCE_BYTES, START, frame, read_frame
from ingest.spool_recovery import Position, Recovery, Segment, position_path, recover, segment_path

_SEGMENT_BYTES = 64 * 1024 * 1024
_NOTE_EVERY = 32  # drained frames between notes of the position


@dataclass(frozen=True, slots=True, order=True)
class Ticket:
    """A frame in the spool."""

    segment: int
    offset: int
    length: int


class Spool:
    """A directory of frames; one process at a time, one taker.

    Args:
        directory: Created when missing, readable by this user only.
        max_bytes: Bytes the segments may take together.
        segment_bytes: Size at which a new segment is begun.

    Raises:
        ConfigError: Another process has it, or the directory can't be used.
    """

    def __init__(self, directory: Path, max_bytes: int, *, segment_bytes: int = _SEGMENT_BYTES) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._lock = _locked(directory)
        self.recovery: Recovery = recover(directory)
        self._segments = self.recovery.segments
        self._cursor = self.recovery.position
        self._pending = self.recovery.frames
        self._next_number = max([self._cursor.segment, *(n + 1 for n in self._segments)])
        self._active: int | None = None
        self._descriptor = -1
        self._waiting: list[tuple[bytes, bool, asyncio.Future[Ticket]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._passed: OrderedDict[Ticket, bool] = OrderedDict()
        self._claimed: set[Ticket] = set()
        self._early: set[Ticket] = set()
        self._again: deque[Ticket] = deque()
        self._unnoted = 0
        self._moving = asyncio.Lock()

    @property
    def pending(self) -> int:
        """Frames kept and not yet done, those being written included."""
        return self._pending + len(self._waiting) + (self._writer is not None)

    @property
    def size(self) -> int:
        """Bytes of the segments on disk."""
        return sum(segment.size for segment in tuple(self._segments.values()))

    async def append(self, payload: bytes, *, claimed: bool = False) -> Ticket:
        """Keep a payload; when this returns, it survives a crash of the machine.

        Args:
            payload: Up to 4 GiB.
            claimed: The caller goes on delivering it: `take` leaves it out unless it is given back.

        Raises:
            StoreUnavailable: The spool or its disk is full, or the disk fails. It was not kept.
        """
        promised = sum(len(each) + HEAD_BYTES for each, _, _ in self._waiting)
        if self.size + promised + len(payload) + HEAD_BYTES > self._max_bytes:
            raise StoreUnavailable(
                f"appending to spool: it is full ({self._max_bytes} bytes)",
                where=str(self._directory),
                mend="bring the brokers back (`skytrail doctor`), or raise spool_max_bytes of this collector",
            )
        future: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        self._waiting.append((payload, claimed, future))
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())
        return await future

    async def take(self) -> tuple[Ticket, bytes] | None:
        """The next frame that nobody has, in order; None when there is none now.

        Raises:
            IntegrityError: A frame that was whole can't be read back.
        """
        async with self._moving:
            if self._again:
                ticket = self._again.popleft()
                return ticket, await asyncio.to_thread(self._payload, ticket)
            while found := await asyncio.to_thread(self._at_cursor):
                ticket, payload = found
                self._cursor = Position(ticket.segment, ticket.offset + ticket.length)
                self._passed[ticket] = ticket in self._early
                self._early.discard(ticket)
                if not self._passed[ticket] and ticket not in self._claimed:
                    return ticket, payload
            return None

    async def done(self, ticket: Ticket) -> None:
        """The frame is delivered elsewhere and may be forgotten. Harmless when repeated.

        Raises:
            StoreUnavailable: It is forgotten by this process, but could not be noted: a restart delivers it again.
        """
        if self._passed.get(ticket, ticket in self._early):
            return
        if ticket in self._passed:
            self._passed[ticket] = True
        elif ticket in self._claimed:
            self._early.add(ticket)
        else:
            return
        self._claimed.discard(ticket)
        self._pending -= 1
        self._unnoted += 1
        while self._passed and self._passed[next(iter(self._passed))]:
            self._passed.popitem(last=False)
        await self._note(force=self._pending == 0)

    def give_back(self, ticket: Ticket) -> None:
        """The holder of a taken or claimed frame can't deliver it: `take` gives it again."""
        self._claimed.discard(ticket)
        if self._passed.get(ticket) is False and ticket not in self._again:
            self._again.append(ticket)

    async def close(self) -> None:
        """Finish appends, note the position, let the directory go. Harmless when repeated."""
        while self._writer is not None:
            await asyncio.wait({self._writer})
        if self._lock < 0:
            return
        await self._note(force=True)
        self._abandon_active()
        os.close(self._lock)
        self._lock = -1

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    segment, size, tickets = await asyncio.to_thread(self._append, [each for each, _, _ in batch])
                except OSError as exc:
                    self._refuse(batch, exc)
                    continue
                segment.size = size  # only now may `take` see them: their claims are noted in this same step
                self._pending += len(batch)
                for ticket, (_, claimed, future) in zip(tickets, batch, strict=True):
                    if claimed and not future.cancelled():
                        self._claimed.add(ticket)
                    if not future.cancelled():
                        future.set_result(ticket)
        finally:
            self._writer = None

    def _refuse(self, batch: list[tuple[bytes, bool, asyncio.Future[Ticket]]], error: OSError) -> None:
        for _, _, future in batch:
            if not future.cancelled():
                what = f"appending to spool: {error.strerror or error}"
                future.set_exception(
                    StoreUnavailable(what, where=str(self._directory), mend="free space on its disk; check the disk")
                )

    def _append(self, payloads: list[bytes]) -> tuple[Segment, int, list[Ticket]]:
        """Write and fsync frames; on failure leave no trace of them (runs in a thread, one at a time)."""
        number, segment = self._segment_for_append()
        tickets: list[Ticket] = []
        body = bytearray()
        for payload in payloads:
            offset = segment.size + len(body)
            tickets.append(Ticket(number, offset, len(payload) + HEAD_BYTES))
            body += frame(segment.nonce, offset, payload)
        try:
            _write_all(self._descriptor, body)
            os.fsync(self._descriptor)
        except OSError:
            # After a failed fsync the kernel may have dropped the pages: never append behind them.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, segment.size)
            self._abandon_active()
            raise
        return segment, segment.size + len(body), tickets

    def _segment_for_append(self) -> tuple[int, Segment]:
        if self._active is not None and self._segments[self._active].size < self._segment_bytes:
            return self._active, self._segments[self._active]
        self._abandon_active()
        number = self._next_number
        path = segment_path(self._directory, number)
        nonce = secrets.token_bytes(NONCE_BYTES)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            _write_all(descriptor, MAGIC + nonce)
            os.fsync(descriptor)
            sync_directory(self._directory)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        self._next_number += 1
        self._active, self._descriptor = number, descriptor
        self._segments[number] = Segment(path, nonce, START)
        return number, self._segments[number]

    def _abandon_active(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._active, self._descriptor = None, -1

    def _at_cursor(self) -> tuple[Ticket, bytes] | None:
        number, offset = self._cursor.segment, self._cursor.offset
        while True:
            segment = self._segments.get(number)
            if segment is not None and offset in segment.gaps:
                offset += segment.gaps[offset]
            elif segment is not None and offset < segment.size:
                ticket = Ticket(number, offset, 0)
                payload = self._payload(ticket)
                return Ticket(number, offset, len(payload) + HEAD_BYTES), payload
            else:
                later = [n for n in tuple(self._segments) if n > number]
                if not later:
                    return None
                number, offset = min(later), START

    def _payload(self, ticket: Ticket) -> bytes:
        segment = self._segments[ticket.segment]
        with segment.path.open("rb") as handle:
            payload = read_frame(handle, segment.nonce, ticket.offset, segment.size)
        if payload is None:
            raise IntegrityError("reading spool: a frame changed on disk", where=f"{segment.path} byte {ticket.offset}")
        return payload

    async def _note(self, *, force: bool) -> None:
        """Write the drained position and delete the segments before it."""
        if not force and self._unnoted < _NOTE_EVERY:
            return
        async with self._moving:
            self._unnoted = 0
            if self._pending == 0 and self._writer is None and not self._waiting:
                self._abandon_active()
                self._passed.clear()
                self._early.clear()
                position = Position(self._next_number, START)
                self._cursor = position
            elif self._passed:
                first = next(iter(self._passed))
                position = Position(first.segment, first.offset)
            else:
                position = self._cursor
            gone = [self._segments.pop(n) for n in tuple(self._segments) if n < position.segment]
            try:
                await asyncio.to_thread(self._forget, position, gone)
            except OSError as exc:
                # The frames are delivered; not noting it only means delivering them again after a restart.
                raise StoreUnavailable(
                    f"noting spool position: {exc.strerror or exc}", where=str(self._directory)
                ) from exc

    def _forget(self, position: Position, gone: list[Segment]) -> None:
        replace_durably(position_path(self._directory), msgspec.json.encode(position))
        for segment in gone:
            segment.path.unlink(missing_ok=True)
        if gone:
            sync_directory(self._directory)


def _write_all(descriptor: int, body: bytes | bytearray) -> None:
    view = memoryview(body)
    while view:
        view = view[os.write(descriptor, view) :]


def _locked(directory: Path) -> int:
    """A descriptor that holds the directory's lock."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        mend = "let this user write there, or set spool_dir of this collector"
        raise ConfigError(f"opening spool: {exc.strerror or exc}", where=str(directory), mend=mend) from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        mend = "stop the other collector, or give this one its own spool_dir"
        raise ConfigError("opening spool: another process has it", where=str(directory), mend=mend) from exc
    return descriptor
