"""What of a blob may go on its way now: whole lines, or a whole document.

Append blobs grow while they are read, in steps that need not end at a record. An unfinished last line waits for its
end; when nothing was appended for an hour it goes as it is, so that it is not kept back for ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ingest.parsing.body_shape import Shape, is_finished, is_gzip, shape_of, whole_lines
from ingest.schema.errors import SourceRefused
from ingest.transports.azure_blob.container import Read
from ingest.transports.azure_blob.marks import Mark

PIECE_BYTES = 4 * 1024 * 1024

ReadRange = Callable[[int, int, str], Awaitable[Read | None]]
"""Reads from an offset on, at most so many bytes, of this ETag ("" is any)."""


@dataclass(frozen=True, slots=True)
class Body:
    """The next body of a blob.

    Attributes:
        body: May be empty: there is nothing more, or what there is waits for its end.
        whole: It is all of a blob that can't be cut.
        ended: Everything that was there is read, or waits.
        waits: Some bytes at the end are unfinished.
        replaced: The blob does not hold any longer what was read of it; nothing else is told then.
    """

    body: bytes = b""
    whole: bool = False
    ended: bool = True
    waits: bool = False
    replaced: bool = False
    etag: str = ""
    version: str = ""
    size: int = 0


async def next_body(
    read: ReadRange, last: Mark | None, *, growing: bool, limit: int, where: str, piece: int = PIECE_BYTES
) -> Body | None:
    """The body that follows what was delivered.

    Args:
        last: How far it was delivered; None reads from the start.
        growing: Someone may still be appending.
        limit: The most bytes of a body that can't be cut.
        where: The blob, for messages.

    Returns:
        None when the blob is gone, or shorter than what was delivered.

    Raises:
        SourceUnavailable: It may be read later.
        SourceRefused: A line or document is larger than `limit`, or we may not read it.
    """
    offset, before = (last.offset, last.tail_bytes) if last else (0, 0)
    first = await read(offset - before, before + piece, "")
    if first is None:
        return None
    if last and before and not last.holds(first.body[:before]):
        return Body(replaced=True)
    body, total = first.body[before:], first.total
    shape = Shape.LINES if offset else _shape(body, offset + len(body) >= total, growing)
    while (offset + len(body)) < total and not _can_be_cut(shape, body):
        if len(body) > limit:
            break
        size = min(total, limit + 1) - len(body) if shape is Shape.WHOLE else piece
        more = await read(offset + len(body), size, "" if growing else first.etag)  # what is appended changes it
        if more is None:
            return None
        body += more.body
        if shape is Shape.UNDECIDED:
            shape = _shape(body, offset + len(body) >= total, growing)
    rest = total - offset - len(body)
    if len(body) > limit and not _can_be_cut(shape, body):
        raise _too_large(max(len(body), total - offset), limit, where)
    end = _end(shape, body, bool(rest), growing)
    return Body(
        body=body[:end],
        whole=shape is Shape.WHOLE,
        ended=not rest,
        waits=end < len(body) and not rest,
        etag=first.etag,
        version=first.version,
        size=total,
    )


def _shape(body: bytes, everything: bool, growing: bool) -> Shape:  # noqa: FBT001 - two facts of the same call
    shape = shape_of(body, complete=everything and not growing)
    if shape is Shape.UNDECIDED and everything and _is_record(body):
        return Shape.LINES
    return shape


def _can_be_cut(shape: Shape, body: bytes) -> bool:
    return shape is Shape.LINES and whole_lines(body) > 0


def _end(shape: Shape, body: bytes, rest: bool, growing: bool) -> int:  # noqa: FBT001 - as above
    """How much of what was read goes on its way."""
    if shape is Shape.LINES:
        end = whole_lines(body)
        left = body[end:]
        if not rest and (not growing or not left.strip() or _is_record(left)):
            return len(body)
        return end
    if growing and (shape is Shape.UNDECIDED or is_gzip(body) or not is_finished(body)):
        return 0
    return len(body)


def _is_record(line: bytes) -> bool:
    """Whether a line without an end is a whole JSON object: then nothing can be missing of it."""
    return line.lstrip().startswith(b"{") and is_finished(line)


def _too_large(size: int, limit: int, where: str) -> SourceRefused:
    return SourceRefused(
        f"reading blob: {size} bytes or more without a place to cut it, the limit is {limit}",
        where=where,
        mend="raise max_inflated_bytes of this collector if the machine has the memory",
    )
