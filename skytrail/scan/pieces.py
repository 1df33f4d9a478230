"""Cuts sources into pieces of bounded size, each evaluated by one process; reads no more than it must.

A large plain file of lines is only looked at where it is cut, and read by whoever evaluates the span. Large gzip files
and JSON documents, standard input, objects of S3 and archives can only be read in order, so their pieces carry the
bytes.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from ingest.formats.recognition import doubt, is_empty, recognise
from ingest.formats.registry import all_formats, format_named
from ingest.parsing.body_shape import Shape, is_gzip, shape_of
from ingest.schema.envelope import Context
from ingest.schema.errors import ConfigError, IntegrityError, MalformedBody, SkytrailError, StoreUnavailable
from skytrail.scan.bodies import BODY_BYTES, DOCUMENT_BYTES, bodies, inflated, is_zstd, keys_of
from skytrail.scan.objects import chunks
from skytrail.scan.prefetch import Prefetch
from skytrail.scan.sources import Source
from storage.archive.opening import archive_at
from storage.archive.reader import ArchiveReader, Record
from storage.datakeys.keys import DataKeys
from storage.verify.ledger.namespace import lawful_of
from storage.verify.places import Place, place_at
from streams.topics import DEAD_LETTERS

_HEAD_BYTES = 64 * 1024
SMALL_GZIP_BYTES = 4 * 1024 * 1024  # compressed; a larger one is inflated here, so that all processes share it
_READ_BYTES = 1024 * 1024
_ARCHIVE_RECORDS = 4096
_SEEK_BYTES = 64 * 1024
_MOST_AHEAD = dt.timedelta(days=1)  # an event's clock may be ahead of ours; what is further ahead is no event


DEFAULT_NAMESPACE = "default"
"""Of what lies in files: nobody collected it, so nobody named one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one process evaluates at once: a span of a file, a whole file, a body, or records.

    Attributes:
        source: Number that all pieces of one file share; they come in the order of its records.
        file: The name that results carry.
        size: Bytes on disk that it stands for.
        format: Name of its format; empty: recognise it.
        path: The file to read, from `start` to `end` (None: all of it, inflated where it is gzip).
        records: Records as such; `repeats` tells how often the same bytes came before in their body.
        fault: Why there is nothing to evaluate.
        unknown: The fault is that no format knows the file.
        context: What the beginning of the file, or the envelope, said of all its records.
        mixed: Nobody said of which format it is, so single records may be of another.
        namespace: Of the archive that it is of.
    """

    source: int
    file: str
    size: int = 0
    format: str = ""
    path: Path | None = None
    start: int = 0
    end: int | None = None
    body: bytes = b""
    records: tuple[bytes, ...] = ()
    repeats: Mapping[int, int] = field(default_factory=dict)
    fault: str = ""
    unknown: bool = False
    mixed: bool = False
    context: Context = ()
    namespace: str = DEFAULT_NAMESPACE


def pieces(
    sources: Sequence[Source],
    format_name: str | None,
    *,
    since: dt.datetime | None = None,
    stdin: BinaryIO | None = None,
    keys: Callable[[], DataKeys | None] = lambda: None,
) -> Iterator[Piece]:
    """Every piece of every source, in order. A source that can't be read gives one piece with its fault.

    Args:
        sources: What to read.
        format_name: Format of all of it; None: recognise each file. Of an archive, the only format that is read.
        since: Event time before which nothing is wanted; spares segments of an archive.
        stdin: Read for the source `-`.
        keys: Gives the data keys of encrypted archives; asked where there is an archive.
    """
    numbers = itertools.count()
    objects = [(source.name, source.size) for source in sources if source.kind == "object"]
    with Prefetch(objects, chunks) as prefetch:
        for source in sources:
            if source.kind == "archive":
                yield from _of_archive(source, numbers, format_name, since, keys)
                continue
            number = next(numbers)
            if source.fault:
                yield Piece(number, source.name, fault=source.fault)
                continue
            try:
                if source.kind == "stdin":
                    yield from _of_stream(number, source, _chunks(stdin or sys.stdin.buffer), format_name)
                elif source.kind == "object":
                    yield from _of_stream(number, source, prefetch.chunks(source.name), format_name)
                else:
                    yield from _of_file(number, source, format_name)
            except OSError as exc:
                yield Piece(number, source.name, fault=f"reading file: {exc.strerror or exc}")
            except MalformedBody as exc:
                yield Piece(number, source.name, fault=worded(exc))


def _of_file(number: int, source: Source, format_name: str | None) -> Iterator[Piece]:
    with source.path.open("rb") as handle:
        head = handle.read(_HEAD_BYTES)
        packed = is_gzip(head) or is_zstd(head)
        if source.size <= (SMALL_GZIP_BYTES if packed else BODY_BYTES):
            yield Piece(
                number, source.name, size=source.size, format=format_name or "", path=source.path, mixed=not format_name
            )
        elif not packed and _is_lines(head, handle):
            known = [format_name] if format_name else recognise(head)
            if len(known) == 1:
                pattern = Piece(number, source.name, format=known[0], path=source.path, mixed=not format_name)
                context = format_named(known[0]).context(head)
                yield from _spans(replace(pattern, context=context), source.size, handle)
            else:
                yield Piece(number, source.name, size=source.size, fault=doubt(known), unknown=True)
        else:
            handle.seek(0)
            yield from _of_stream(number, source, _chunks(handle), format_name)


def _is_lines(head: bytes, handle: BinaryIO) -> bool:
    shape = shape_of(head, complete=False)
    while shape is Shape.UNDECIDED and len(head) <= BODY_BYTES and (more := handle.read(_READ_BYTES)):
        head += more
        shape = shape_of(head, complete=False)
    return shape is Shape.LINES


def _spans(pattern: Piece, size: int, handle: BinaryIO) -> Iterator[Piece]:
    """Pieces like `pattern`, each a span of its file."""
    start = 0
    while start < size:
        end = _line_end(handle, start + BODY_BYTES, size)
        if end - start > DOCUMENT_BYTES:
            raise MalformedBody(f"reading file: a line is longer than {DOCUMENT_BYTES} bytes", where=f"byte {start}")
        yield replace(pattern, size=end - start, start=start, end=end)
        start = end


def _line_end(handle: BinaryIO, at: int, size: int) -> int:
    """The place behind the first line end from `at` on, or the end of the file."""
    if at >= size:
        return size
    handle.seek(at)
    while chunk := handle.read(_SEEK_BYTES):
        found = chunk.find(b"\n")
        if found >= 0:
            return min(at + found + 1, size)
        at += len(chunk)
    return size


def _of_stream(number: int, source: Source, chunks: Iterator[bytes], format_name: str | None) -> Iterator[Piece]:
    """Pieces with bytes; the size on disk is spread evenly, since nobody knows the inflated one."""
    name = format_name
    context: Context = ()
    read = 0

    def counted() -> Iterator[bytes]:
        nonlocal read
        for chunk in chunks:
            read += len(chunk)
            yield chunk

    told = 0
    for body in bodies(inflated(counted()), list_keys=keys_of(format_name)):
        if not name:
            known = recognise(body)
            if len(known) != 1:
                piece = Piece(number, source.name, size=source.size)
                yield piece if is_empty(body) else replace(piece, fault=doubt(known), unknown=True)
                return
            name = known[0]
        context = format_named(name).context(body) or context
        piece = Piece(number, source.name, size=read - told, format=name, body=body, mixed=not format_name)
        yield replace(piece, context=context)
        told = read


def _chunks(handle: BinaryIO) -> Iterator[bytes]:
    while chunk := handle.read(_READ_BYTES):
        yield chunk


def _of_archive(
    source: Source,
    numbers: Iterator[int],
    format_name: str | None,
    since: dt.datetime | None,
    keys: Callable[[], DataKeys | None],
) -> Iterator[Piece]:
    """Records of every raw topic and partition, each a file of its own; the format is the envelope's."""
    address = source.address or (str(source.path) if source.path.parts else source.name)
    reader = ArchiveReader(archive_at(address), keys(), functools.partial(_destroyed, place_at(address)))
    formats = (format_name,) if format_name else tuple(all_formats())
    received_since = since - _MOST_AHEAD if since else None
    number, file, batch = next(numbers), source.name, list[Record]()
    unreadable = 0
    try:
        for namespace in reader.namespaces():
            for record in reader.records(namespace, since=received_since):
                if record.header is None or record.header.format not in formats:
                    unreadable += _is_lost(record, format_name)
                    continue
                place = f"{source.name}/{namespace}/{record.position.topic}/{record.position.partition}"
                if batch and (place != file or len(batch) >= _ARCHIVE_RECORDS or not _alike(batch[0], record)):
                    yield _batch(number, file, batch)
                    batch = []
                if place != file:
                    number, file = next(numbers), place
                batch.append(record)
        fault = f"{unreadable} sealed messages are no envelopes that this build reads" if unreadable else ""
        if reader.erased:
            lost = f"{sum(reader.erased.values())} records can't be read: their data keys are gone"
            fault = "; ".join(filter(None, (fault, f"{lost} ({', '.join(sorted(reader.erased))})")))
    except (IntegrityError, StoreUnavailable, ConfigError) as exc:
        fault = worded(exc)
    if batch:
        yield _batch(number, file, batch)
    if fault:
        yield Piece(next(numbers), source.name, fault=fault)


def _destroyed(place: Place, namespace: str) -> Container[tuple[str, int, int]]:
    """The segments that the ledger of a namespace says are destroyed."""
    return lawful_of(place, namespace).segments


def _is_lost(record: Record, format_name: str | None) -> bool:
    """Whether a record that is left out should have been read; dead letters lie in the raw topics, too."""
    if record.header is None:
        return record.position.topic != DEAD_LETTERS
    return format_name is None


def _alike(first: Record, other: Record) -> bool:
    if first.header is None or other.header is None:
        return False
    return (first.header.format, first.header.context) == (other.header.format, other.header.context)


def _batch(number: int, file: str, batch: Sequence[Record]) -> Piece:
    header = batch[0].header
    assert header is not None
    return Piece(
        number,
        file,
        size=sum(len(record.body) for record in batch),
        format=header.format,
        records=tuple(record.body for record in batch),
        repeats={place: record.repeat for place, record in enumerate(batch) if record.repeat},
        context=header.context,
        namespace=header.namespace,
    )


def worded(error: SkytrailError) -> str:
    """What happened and where, without the advice that is meant for other commands."""
    return f"{error.what} at {error.where}" if error.where else error.what
