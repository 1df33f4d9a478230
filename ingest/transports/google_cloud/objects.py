"""Objects of Cloud Storage as bodies: which one, and its bytes in pieces.

Every piece is a request of its own for a range of the same generation, so nothing is held open while the caller is
busy, and a broken connection costs one piece. Objects of lines are cut at line ends; gzip and documents come whole, up
to the limit. The bytes are those that are stored, also where the service would inflate them; their CRC32C is compared.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import google_crc32c

from ingest.parsing.body_shape import Shape, count_lines, shape_of, whole_lines
from ingest.schema.envelope import Origin
from ingest.schema.errors import SourceRefused, SourceUnavailable
from ingest.transports.google_cloud.storage import Storage

PIECE_BYTES = 4 * 1024 * 1024
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One generation of an object; it never changes.

    Attributes:
        size: Its bytes; None if nobody told.
        crc32c: Its checksum as Google writes it; "" if nobody told.
    """

    bucket: str
    name: str
    generation: int
    size: int | None = None
    crc32c: str = ""

    @property
    def locator(self) -> str:
        """`bucket/name`."""
        return f"{self.bucket}/{self.name}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A body of an object, where it came from, and where the next one begins.

    Attributes:
        next_offset: In bytes.
        next_ordinal: In records.
        last: It is the last one.
    """

    body: bytes
    origin: Origin
    next_offset: int
    next_ordinal: int
    last: bool


class ObjectReader:
    """Reads one object, piece by piece.

    A call that failed can be repeated: progress is noted only once a piece is complete.

    Args:
        transport: Name of the transport, for the origin.
        limit: The most bytes of a body.
        offset: Where to begin; what lies before was delivered.
        ordinal: Records before that.
    """

    def __init__(
        self, storage: Storage, ref: ObjectRef, *, transport: str, limit: int, offset: int = 0, ordinal: int = 0
    ) -> None:
        self.ref = ref
        self._storage = storage
        self._transport = transport
        self._limit = limit
        self._offset = offset
        self._ordinal = ordinal
        self._checksum = None if offset else 0
        self._ended = False

    async def next(self) -> Piece | None:
        """The next piece; None at the end.

        Raises:
            SourceUnavailable: It may be read later.
            SourceRefused: Gone, not permitted, or too large.
        """
        if self._ended:
            return None
        if self.ref.size is None:
            self.ref = await self._described()
        size = self.ref.size or 0
        if self._offset >= size:
            self._ended = True
            return None
        body = await self._read(self._offset, min(size, self._offset + PIECE_BYTES))
        lines = bool(self._offset) or shape_of(body, complete=len(body) == size) is Shape.LINES
        if self._offset + len(body) < size:
            body = await self._cut(body, size) if lines else await self._whole(body, size)
        self._compare(body, size)
        origin = Origin(
            transport=self._transport,
            locator=self.ref.locator,
            version=str(self.ref.generation),
            etag=self.ref.crc32c,
            first_ordinal=self._ordinal,
        )
        self._offset += len(body)
        self._ordinal += count_lines(body) if lines else 0
        self._ended = self._offset >= size
        return Piece(body, origin, self._offset, self._ordinal, self._ended)

    async def _cut(self, body: bytes, size: int) -> bytes:
        """End after the last whole line; read on while one line is longer than a piece."""
        while not (end := whole_lines(body)):
            self._refuse_large(len(body) + 1)
            at = self._offset + len(body)
            body += await self._read(at, min(size, at + PIECE_BYTES))
            if self._offset + len(body) >= size:
                return body
        return body[:end]

    async def _whole(self, body: bytes, size: int) -> bytes:
        self._refuse_large(size)
        return body + await self._read(len(body), size)

    async def _read(self, start: int, end: int) -> bytes:
        def read(client: Any) -> bytes:
            blob = client.bucket(self.ref.bucket).blob(self.ref.name, generation=self.ref.generation)
            found: bytes = blob.download_as_bytes(
                start=start,
                end=end - 1,
                raw_download=True,
                checksum=None,  # of a range there is none
                timeout=_TIMEOUT_S,
                retry=None,
            )
            return found

        found = await self._storage("reading object", self.ref.locator, read)
        if len(found) != end - start:
            what = f"reading object: {len(found)} bytes came of {end - start}"
            raise SourceUnavailable(what, where=self.ref.locator)
        return found

    async def _described(self) -> ObjectRef:
        def describe(client: Any) -> ObjectRef:
            blob = client.bucket(self.ref.bucket).blob(self.ref.name, generation=self.ref.generation)
            blob.reload(timeout=_TIMEOUT_S, retry=None)
            return replace(self.ref, size=int(blob.size), crc32c=blob.crc32c or "")

        return await self._storage("reading object", self.ref.locator, describe)

    def _compare(self, body: bytes, size: int) -> None:
        """Extend the checksum over a piece; the last one is held back if the object is not as Google says."""
        if self._checksum is None or not self.ref.crc32c:
            return
        checksum = google_crc32c.extend(self._checksum, body)
        if self._offset + len(body) >= size:
            found = base64.b64encode(checksum.to_bytes(4, "big")).decode()
            if found != self.ref.crc32c:
                what = f"reading object: its CRC32C is {found}, Google says {self.ref.crc32c}"
                raise SourceUnavailable(what, where=self.ref.locator)
        self._checksum = checksum

    def _refuse_large(self, size: int) -> None:
        if size > self._limit:
            raise SourceRefused(
                f"reading object: {size} bytes or more without a place to cut it, the limit is {self._limit}",
                where=self.ref.locator,
                mend="raise max_inflated_bytes of this collector if the machine has the memory",
            )


class ObjectDelivery:
    """A body of an object.

    Args:
        on_settled: Called once, with the reason when it was given up.
        on_returned: Called with the delivery when it is handed back.
    """

    source = ""

    def __init__(
        self,
        piece: Piece,
        received_at: dt.datetime,
        on_settled: Callable[[str], Awaitable[None]],
        on_returned: Callable[[ObjectDelivery], None],
    ) -> None:
        self.origin = piece.origin
        self.body = piece.body
        self.received_at = received_at
        self._on_settled = on_settled
        self._on_returned = on_returned
        self._settled = False

    async def acknowledge(self) -> None:
        """See `Delivery.acknowledge`."""
        await self._settle("")

    async def reject(self, reason: str, *, retry: bool) -> None:
        """See `Delivery.reject`."""
        if not retry:
            await self._settle(reason)
        elif not self._settled:
            self._on_returned(self)

    async def _settle(self, given_up: str) -> None:
        if not self._settled:
            self._settled = True
            await self._on_settled(given_up)
