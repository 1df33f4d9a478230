"""`skytrail normalise`: shows what a record becomes; needs no service."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.document import Receipt, complete
from ingest.formats.contract import Format
from ingest.formats.registry import format_named
from ingest.parsing.gzip_member import inflate
from ingest.schema.errors import ConfigError, MalformedBody, RejectedRecord
from ingest.schema.identity import leaf_hash
from skytrail.cli.output import say
from storage.index.documents import serialise
from storage.index.names import index_name

MAX_INFLATED = 1024**3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(normalise)


def normalise(
    format_name: Annotated[str, typer.Option("--format", help="Format of the input, e.g. aws.cloudtrail.")],
    path: Annotated[str, typer.Argument(metavar="[FILE|-]", help="A file (gzip is recognised) or - for stdin.")] = "-",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the documents.")] = "default",
    with_id: Annotated[bool, typer.Option("--with-id", help="Wrap each as {_index, _id, document}.")] = False,
) -> None:
    """Print one JSON line per record, in order: its document, or {"error": {"type", "message"}}.

    Examples:  skytrail normalise --format aws.cloudtrail trail.json.gz
               cat audit.log | skytrail normalise --format kubernetes.audit -
    """
    format_ = format_named(format_name)
    body = _inflated(_read(path))
    context = () if isinstance(body, MalformedBody) else format_.context(body)
    broken = 0
    now = dt.datetime.now(dt.UTC)
    for ordinal, (record, repeat) in enumerate(_records(format_, body)):
        if isinstance(record, RejectedRecord):
            line, failed = _error(record), True
        else:
            receipt = Receipt(namespace, "normalise", now, path, ordinal, repeat)
            line, failed = _line(format_.within(context), record, receipt, now, with_id=with_id)
        broken += failed
        sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()
    if broken:
        say(f"{broken} records could not be normalised; their lines hold the reason")


def _inflated(body: bytes) -> bytes | MalformedBody:
    try:
        return inflate(body, MAX_INFLATED)
    except MalformedBody as exc:
        return exc


def _records(format_: Format, body: bytes | MalformedBody) -> Iterator[tuple[bytes | RejectedRecord, int]]:
    """Records with how often their bytes came before; a fault of the body itself is one last error."""
    seen: dict[bytes, int] = {}
    if isinstance(body, MalformedBody):
        yield body, 0
        return
    try:
        for record in format_.split(body):
            leaf = leaf_hash(record)
            seen[leaf] = seen.get(leaf, -1) + 1
            yield record, seen[leaf]
    except MalformedBody as exc:
        yield exc, 0


def _line(format_: Format, record: bytes, receipt: Receipt, now: dt.datetime, *, with_id: bool) -> tuple[bytes, bool]:
    try:
        found = complete(format_, record, receipt, now)
    except RejectedRecord as exc:
        return _error(exc), True
    if not with_id:
        return serialise(found.document), False
    stamp = dt.datetime.fromisoformat(found.document["@timestamp"])
    wrapped: dict[str, Any] = {
        "_index": index_name(format_.dataset, receipt.namespace, stamp),
        "_id": found.id,
        "document": found.document,
    }
    return serialise(wrapped), False


def _error(error: RejectedRecord) -> bytes:
    return serialise({"error": {"type": error.kind, "message": str(error)}})


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        raise ConfigError(
            f"reading input: {exc.strerror}", where=path, mend="give a readable file, or - for stdin"
        ) from exc
