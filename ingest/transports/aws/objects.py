"""Objects of S3 as bodies: which one, and its bytes in pieces.

Every piece is a request of its own for a range of the same version, so nothing is held open while the caller is busy,
and a broken connection costs one piece. Objects of lines are cut at line ends; gzip and documents come whole, up to
the limit.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from ingest.parsing.body_shape import Shape, count_lines, shape_of, whole_lines
from ingest.schema.envelope import Origin
from ingest.schema.errors import SourceRefused, SourceUnavailable
from ingest.transports.aws.calls import AwsCalls

PIECE_BYTES = 4 * 1024 * 1024
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """An object that someone named.

    Attributes:
        version: Its version where it was named; "" is the current one.
        etag: Its ETag where it was named, without quotes.
        size: Its bytes where they were named.
    """

    bucket: str
    key: str
    version: str = ""
    etag: str = ""
    size: int | None = None

    @property
    def locator(self) -> str:
        """`bucket/key`."""
        return f"{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A body of an object, and where it came from."""

    body: bytes
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Read:
    body: bytes
    total: int
    etag: str
    version: str


class ObjectReader:
    """Reads one object, piece by piece.

    A call that failed can be repeated: progress is noted only once a piece is complete.

    Args:
        transport: Name of the transport, for the origin.
        limit: The most bytes of a body.

    Attributes:
        etag: What S3 says; "" before the first piece.
        ended: The last piece was read.
    """

    def __init__(self, calls: AwsCalls, ref: ObjectRef, *, transport: str, limit: int) -> None:
        self.ref = ref
        self.etag = ""
        self._calls = calls
        self._transport = transport
        self._limit = limit
        self._version = ref.version
        self._offset = 0
        self._ordinal = 0
        self.ended = False

    async def next(self) -> Piece | None:
        """The next piece; None at the end.

        Raises:
            SourceUnavailable: It may be read later.
            SourceRefused: Missing, not permitted, too large, or replaced while it was read.
        """
        if self.ended:
            return None
        read = await self._read(PIECE_BYTES)
        body, rest = read.body, read.total - self._offset - len(read.body)
        lines = bool(self._offset) or shape_of(body, complete=not rest) is Shape.LINES
        if rest and lines:
            body = await self._cut(body, read)
        elif rest:
            self._refuse_large(read.total)
            body += (await self._read(None, read, after=len(body))).body
        self.etag, self._version = read.etag, read.version
        origin = Origin(
            transport=self._transport,
            locator=self.ref.locator,
            version=read.version,
            etag=read.etag,
            first_ordinal=self._ordinal,
        )
        self._offset += len(body)
        self.ended = self._offset >= read.total
        self._ordinal += count_lines(body) if lines else 0
        return Piece(body, origin) if body else None

    async def _cut(self, body: bytes, first: _Read) -> bytes:
        """End after the last whole line; read on while one line is longer than a piece."""
        while not (end := whole_lines(body)):
            self._refuse_large(len(body) + 1)
            read = await self._read(PIECE_BYTES, first, after=len(body))
            body += read.body
            if self._offset + len(body) >= first.total:
                return body
        return body[:end]

    async def _read(self, size: int | None, same_as: _Read | None = None, *, after: int = 0) -> _Read:
        start = self._offset + after
        parameters: dict[str, Any] = {"Bucket": self.ref.bucket, "Key": self.ref.key}
        parameters["Range"] = f"bytes={start}-{'' if size is None else start + size - 1}"
        if version := (same_as.version if same_as else self._version):
            parameters["VersionId"] = version
        if etag := (same_as.etag if same_as else self.etag):
            parameters["IfMatch"] = f'"{etag}"'
        try:
            taken = functools.partial(self._taken, start)
            return await self._calls("s3", "get_object", where=self.ref.locator, then=taken, **parameters)
        except SourceRefused as exc:
            if "InvalidRange" in exc.what and not start:
                return _Read(b"", 0, self.ref.etag, self.ref.version)  # a range of nothing: the object is empty
            raise

    def _taken(self, start: int, answer: dict[str, Any]) -> _Read:
        """The bytes of an answer; in the thread of the call, where a broken connection is told."""
        body = answer["Body"]
        try:
            taken = body.read()
        finally:
            body.close()
        found = _RANGE.fullmatch(answer.get("ContentRange", ""))
        empty = not (start or taken or found) and bool(answer.get("ETag"))  # as some stores answer of an empty object
        if not empty and (found is None or int(found[1]) != start or int(found[2]) != start + len(taken) - 1):
            # Something between us and S3 answers 200 with a page of its own, which is no object.
            what = f"reading object: the answer is not the range from byte {start} on, {len(taken)} bytes came"
            mend = "find out what answers in the place of S3: a proxy, a portal, endpoint_url"
            raise SourceUnavailable(what, where=self.ref.locator, mend=mend)
        version = answer.get("VersionId", "")
        return _Read(
            taken,
            int(found[3]) if found else 0,
            answer.get("ETag", "").strip('"'),
            "" if version == "null" else version,
        )

    def _refuse_large(self, size: int) -> None:
        if size > self._limit:
            raise SourceRefused(
                f"reading object: {size} bytes or more without a place to cut it, the limit is {self._limit}",
                where=self.ref.locator,
                mend="raise max_inflated_bytes of this collector if the machine has the memory",
            )


def overwritten(reader: ObjectReader) -> SourceRefused | None:
    """What is to be told of an object that was named with other content than was read of it."""
    ref = reader.ref
    if not ref.etag or not reader.etag or ref.version or ref.etag == reader.etag:
        return None  # without versions only the latest content of a key can be read
    return SourceRefused(
        "reading object: it was overwritten before it was read, its first content is lost",
        where=ref.locator,
        mend=f"switch versioning of the bucket on (announced was {ref.etag}, read {reader.etag})",
    )
