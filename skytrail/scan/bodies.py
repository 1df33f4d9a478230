"""Cuts input of any size into bodies of bounded size that a format can split. Pure: works on iterators of bytes.

Lines are cut at line ends, JSON documents between their records. What is neither can't be cut and is read whole, up
to a limit. Unlike a collector, which refuses whatever follows the first gzip member, a hunt reads every member:
nothing may hide there.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import zstandard

from ingest.formats.recognition import SAMPLES, recognise
from ingest.formats.registry import format_named
from ingest.parsing.body_shape import Shape, is_gzip, shape_of, whole_lines
from ingest.parsing.json_scan import BLANK
from ingest.parsing.json_slices import is_json
from ingest.schema.errors import MalformedBody
from skytrail.scan.documents import DocumentCut, Inflow

BODY_BYTES = 4 * 1024 * 1024  # of a body of lines, about 3,500 CloudTrail events
DOCUMENT_BYTES = 256 * 1024 * 1024  # of a record, or of what can't be cut
HEAD_BYTES = max(SAMPLES)  # of a document, by which its format is recognised
_OPENING_BYTES = 64
_GZIP_ONLY = 16 + zlib.MAX_WBITS
_STEP = 1024 * 1024  # inflated bytes at once
_ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1
_ZSTD_WINDOW = 128 * 1024 * 1024  # what `zstd --long` writes; a larger one is refused
_ZSTD_STEP = 1024
"""Packed bytes at once: a block of 128 KiB takes 4 bytes at least, so no more than 32 MiB come of them."""

ListKeys = Callable[[bytes], Sequence[str]]
"""From the beginning of a document to the keys under which its format has records."""


def inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes inside gzip or zstd, however many members it has; other input passes as it is.

    Raises:
        MalformedBody: Damaged or cut off; what came before was given.
    """
    source = iter(chunks)
    head = next(source, b"")
    while 0 < len(head) < len(_ZSTD) and (more := next(source, b"")):
        head += more
    if is_zstd(head):
        yield from _frames(head, source)
        return
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


def is_zstd(head: bytes) -> bool:
    """Whether bytes begin as a zstd frame does."""
    return head.startswith(_ZSTD)


def _frames(head: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    frame, done, data = _frame(), 0, memoryview(head)
    while True:
        step = data[:_ZSTD_STEP]
        try:
            found = frame.decompress(step)
        except zstandard.ZstdError as exc:
            raise MalformedBody(f"inflating zstd: {exc}", where=f"after {done} inflated bytes") from exc
        done += len(found)
        if found:
            yield found
        data = data[len(step) - len(frame.unused_data) :] or memoryview(next(source, b""))
        if not data:
            break
        if frame.eof:
            frame = _frame()
    if not frame.eof:
        raise MalformedBody(f"inflating zstd: it is cut off after {done} inflated bytes")


def _frame() -> zstandard.ZstdDecompressionObj:
    return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()


def bodies(
    chunks: Iterable[bytes],
    *,
    size: int = BODY_BYTES,
    limit: int = DOCUMENT_BYTES,
    list_keys: ListKeys = lambda _head: (),
) -> Iterator[bytes]:
    """Bodies that together have the records of the input, in order, each whole.

    Args:
        chunks: Inflated input in pieces of any size.
        size: Bytes after which lines and documents are cut.
        limit: The most bytes of a record, or of what can't be cut.
        list_keys: Asked of a document that is cut: from its beginning to the keys under which its format has records.

    Raises:
        MalformedBody: Beyond the limit, where a document can't be read on, or as the input raises; bodies that were
            complete before were given.
    """
    inflow, shape, looked = Inflow(chunks, limit), Shape.UNDECIDED, 0
    keys: Collection[bytes] | None = None
    held = inflow.held
    while inflow.more():
        while len(held) >= size:
            if shape is Shape.UNDECIDED and (not looked or held.find(b"\n", looked) >= 0):
                shape = shape_of(bytes(held), complete=False)
            looked = len(held)
            if shape is Shape.LINES:
                if not (end := whole_lines(held)):
                    break
                yield inflow.take(end)
            elif is_json(bytes(held[:_OPENING_BYTES])):
                if keys is None:
                    keys = frozenset(key.encode() for key in list_keys(bytes(held[:HEAD_BYTES])))
                yield from DocumentCut(inflow, size, keys).bodies()
                shape, looked = Shape.UNDECIDED, 0
            else:
                break
    rest = held.lstrip(BLANK)
    if rest and keys is not None and shape is not Shape.LINES and not is_json(bytes(rest[:_OPENING_BYTES])):
        raise MalformedBody(
            "splitting body: no JSON value begins here",
            where=f"byte {inflow.gone + len(held) - len(rest)}",
            mend="the records before it were taken; mend what writes it",
        )
    if rest or (held and not inflow.gone):
        yield inflow.take(len(held))
    if inflow.fault:
        raise inflow.fault


def keys_of(name: str | None) -> ListKeys:
    """For `bodies`: the keys of a format, or of the one that a beginning is recognised as."""

    def keys(head: bytes) -> Sequence[str]:
        known = [name] if name else recognise(head)
        return format_named(known[0]).list_keys if len(known) == 1 else ()

    return keys
