"""One event as rules see it: the record of a file, or a document of the index."""

from __future__ import annotations

import datetime as dt
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.document import Receipt, complete
from ingest.formats.contract import Format, View
from ingest.formats.recognition import doubt, recognise
from ingest.formats.registry import format_named
from ingest.schema.errors import ConfigError, MalformedBody, RejectedRecord
from ingest.schema.identity import leaf_hash
from skytrail.cli.commands.scan import AUTO
from skytrail.scan.bodies import DOCUMENT_BYTES, bodies, inflated, keys_of
from storage.index.search import Hit


@dataclass(frozen=True, slots=True)
class OneEvent:
    """An event, and what is to be known about it.

    Attributes:
        record: Ordinal in its file, or in the body that it came in.
        document: `index/id` of an event of Elasticsearch; None of a file's.
        notes: Why an answer about it may differ from that of the stream.
    """

    format: Format
    view: View
    record: int
    document: str | None = None
    notes: tuple[str, ...] = ()


def from_file(path: str, ordinal: int, format_name: str) -> OneEvent:
    """A record of a file, normalised as the stream does it.

    Args:
        path: The file, `-` for standard input.
        ordinal: Of the record, from 0.
        format_name: Its format; `auto`: recognise it.

    Raises:
        ConfigError: The file can't be read or has fewer records.
        RejectedRecord: It, or the record, is of no format that we know.
    """
    source = bodies(_inflated(path), list_keys=keys_of(None if format_name == AUTO else format_name))
    first = next(source, b"")
    known = recognise(first) if format_name == AUTO else [format_name]
    if len(known) != 1:
        raise MalformedBody(doubt(known), where=path, mend="name its format by --format")
    format_ = format_named(known[0])
    format_ = format_.within(format_.context(first))
    records = itertools.chain.from_iterable(map(format_.split, itertools.chain((first,), source)))
    body = next(itertools.islice(records, ordinal, None), None)
    if body is None:
        raise ConfigError(f"looking for record {ordinal}: the input ends before", where=path, mend="they count from 0")
    now = dt.datetime.now(dt.UTC)
    try:
        event = complete(format_, body, Receipt("default", "explain", now, path, ordinal), now)
    except RejectedRecord as exc:
        why = f"the event can't be normalised, so only the vendor's own fields are there: {exc.what}"
        return OneEvent(format_, format_.read(body).view(), ordinal, notes=(why,))
    view = event.reading.view()
    view.ecs = event.document
    return OneEvent(format_, view, ordinal)


def from_document(hit: Hit) -> OneEvent:
    """An event of the index: the vendor's fields of `event.original`, the others as they were indexed.

    Raises:
        ConfigError: The document is no event, or of a format that this build does not know.
    """
    document, place = hit.source, f"{hit.index}/{hit.id}"
    name = document.get("skytrail", {}).get("format", "")
    event = document.get("event", {})
    if not name:
        raise ConfigError("reading the event: the document names no format", where=place, mend="give the event's file")
    format_ = format_named(name)
    original = str(event.get("original", "")).encode()
    notes = []
    if leaf_hash(original).hex() != event.get("hash"):
        notes.append(
            "event.original is not the event's exact bytes (secrets are masked in it, or it was no UTF-8); the answer "
            "is about what it says"
        )
    try:
        view = format_.read(original).view()
    except RejectedRecord as exc:
        view = View(vendor={})
        notes.append(f"event.original can't be read by itself, so the vendor's own fields are absent: {exc.what}")
    view.ecs = document
    ordinal = int(document.get("log", {}).get("offset", 0))
    return OneEvent(format_, view, ordinal, place, tuple(notes))


def _inflated(path: str) -> Iterator[bytes]:
    if path == "-":
        yield from inflated(iter(lambda: sys.stdin.buffer.read(DOCUMENT_BYTES), b""))
        return
    try:
        with Path(path).open("rb") as handle:
            yield from inflated(iter(lambda: handle.read(1024 * 1024), b""))
    except OSError as exc:
        raise ConfigError(
            f"reading event: {exc.strerror}", where=path, mend="give a readable file, or - for stdin"
        ) from exc
