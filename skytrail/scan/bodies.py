"""Cuts input of any size into bodies of bounded size that a format can split. Pure: works on iterators of bytes.

Lines are cut at line ends. A JSON document that spans lines can't be cut and is read whole, up to a limit. Unlike a
collector, which refuses whatever follows the first gzip member, a hunt reads every member: nothing may hide there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from ingest.parsing.body_shape import Shape, is_gzip, shape_of, whole_lines
from ingest.schema.errors import MalformedBody

BODY_BYTES = 4 * 1024 * 1024  # of a body of lines, about 3,500 CloudTrail events
DOCUMENT_BYTES = 256 * 1024 * 1024  # of a document or a line that can't be cut
_GZIP_ONLY = 16 + zlib.MAX_WBITS
_STEP = 1024 * 1024  # inflated bytes at once


def inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes inside gzip, however many members it has; other input passes as it is.

    Raises:
        MalformedBody: Damaged or cut off; what came before was given.
    """
    source = iter(chunks)
    head = next(source, b"")
    while 0 < len(head) < 2 and (more := next(source, b"")):  # noqa: PLR2004 - the length of gzip's magic
        head += more
    if not is_gzip(head):
        yield from filter(None, (head,))
        yield from source
        return
    yield from _members(head, source)


def _members(data: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    member, done = zlib.decompressobj(_GZIP_ONLY), 0
    while True:
        try:
            found = member.decompress(data, _STEP)
        except zlib.error as exc:
            raise MalformedBody(f"inflating gzip: {exc}", where=f"after {done} inflated bytes") from exc
        done += len(found)
        if found:
            yield found
        data = member.unconsumed_tail or member.unused_data or next(source, b"")
        if member.eof and (data := data.lstrip(b"\0")):  # zeros pad the end of tapes and blocks
            member = zlib.decompressobj(_GZIP_ONLY)
        elif not data and not found:
            if not member.eof:
                raise MalformedBody(f"inflating gzip: it is cut off after {done} inflated bytes")
            return


def bodies(chunks: Iterable[bytes], *, size: int = BODY_BYTES, limit: int = DOCUMENT_BYTES) -> Iterator[bytes]:
    """Bodies that together are the input, each with whole records.

    Args:
        chunks: Inflated input in pieces of any size.
        size: Bytes after which lines are cut.
        limit: The most bytes of a body that can't be cut.

    Raises:
        MalformedBody: Beyond the limit, or as the input raises; bodies that were complete before were given.
    """
    buffer, shape = bytearray(), Shape.UNDECIDED
    source = iter(chunks)
    while len(buffer) <= limit:
        try:
            chunk = next(source, b"")
        except MalformedBody:
            if buffer:
                yield bytes(buffer)
            raise
        if not chunk:
            break
        buffer += chunk
        if shape is Shape.UNDECIDED and (len(buffer) == len(chunk) or b"\n" in chunk):
            shape = shape_of(bytes(buffer), complete=False)
        if shape is Shape.LINES and len(buffer) >= size and (end := whole_lines(buffer)):
            yield bytes(buffer[:end])
            del buffer[:end]
    if len(buffer) > limit:
        raise MalformedBody(
            f"reading body: more than {limit} bytes without a place to cut it",
            mend="write one record a line, or split the document",
        )
    if buffer:
        yield bytes(buffer)
