"""`skytrail normalise`: shows what a record becomes; needs no service."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.document import Receipt, complete
from ingest.formats.recognition import chosen
from ingest.schema.envelope import Origin
from ingest.schema.errors import ConfigError, RejectedRecord, UnrecognisedRecord
from ingest.unpacking import Repeats, Run, unpack
from skytrail.cli.output import say
from storage.index.documents import serialise
from storage.index.names import index_name

MAX_INFLATED = 1024**3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(normalise)


def normalise(
    format_name: Annotated[str, typer.Option("--format", help="Format of the input, or auto.")],
    path: Annotated[str, typer.Argument(metavar="[FILE|-]", help="A file (gzip is recognised) or - for stdin.")] = "-",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the documents.")] = "default",
    with_id: Annotated[bool, typer.Option("--with-id", help="Wrap each as {_index, _id, document}.")] = False,
) -> None:
    """Print one JSON line per record, in order: its document, or {"error": {"type", "message"}}.

    Examples:  skytrail normalise --format aws.cloudtrail trail.json.gz
               cat eventhub.json | skytrail normalise --format auto -
    """
    found = unpack(_read(path), chosen(format_name), MAX_INFLATED)
    repeats = Repeats().of(Origin(transport="normalise", locator=path), found.records)
    broken = 0
    now = dt.datetime.now(dt.UTC)
    for run in found.runs:
        for ordinal in range(run.start, run.end):
            receipt = Receipt(namespace, "normalise", now, path, ordinal, repeats.get(ordinal, 0))
            line, failed = _line(run, found.records[ordinal], receipt, now, with_id=with_id)
            broken += failed
            sys.stdout.buffer.write(line + b"\n")
    if found.fault:
        broken += 1
        sys.stdout.buffer.write(_error(found.fault) + b"\n")
    sys.stdout.buffer.flush()
    if broken:
        say(f"{broken} records could not be normalised; their lines hold the reason")


def _line(run: Run, record: bytes, receipt: Receipt, now: dt.datetime, *, with_id: bool) -> tuple[bytes, bool]:
    try:
        if run.format is None:
            raise UnrecognisedRecord(f"recognising record: {run.why}", where=f"record {receipt.ordinal}")
        format_ = run.format.within(run.context)
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
