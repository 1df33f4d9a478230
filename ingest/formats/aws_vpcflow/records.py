"""From the bytes of a record to the fields of one flow.

A record is a line of a file, an element of a CloudWatch Logs subscription whose message is such a line, or a JSON
object that a tool made of one. The line of names at the head of a file is no record: it is the context of the body.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ingest.formats.aws_records.log_groups import LIST_KEYS, LogEvent, log_event_of
from ingest.formats.aws_vpcflow.layouts import Layout, field_named, header_of, layout_of
from ingest.parsing.json_scan import BLANK
from ingest.parsing.json_slices import Claims, is_json, split_objects
from ingest.parsing.json_value import parse_object
from ingest.parsing.scalars import NOTHING, text_of
from ingest.schema.envelope import Context
from ingest.schema.errors import MalformedBody, MalformedRecord

_BOM = b"\xef\xbb\xbf"
_ABSENT = "-"
_TELLING = frozenset({"srcaddr", "dstaddr", "interface-id", "log-status", "action", "pkt-srcaddr", "pkt-dstaddr"})
_FEWEST_TELLING = 2
_LONGEST_SHOWN = 80
_MEND = (
    "deliver flow logs with a custom format to S3, whose files name their fields, or use AWS's order of fields; "
    "the records that were refused can be redriven with the file they stood in"
)


class Flow(NamedTuple):
    """One record of a flow log.

    Attributes:
        fields: What it holds under AWS's names, without those that are absent (`-`).
        logged: The log event around it; None outside of CloudWatch Logs.
    """

    fields: Mapping[str, Any]
    logged: LogEvent | None = None


def split(body: bytes, claims: Claims) -> Iterator[bytes]:
    """The records of a body: its lines without the line of names and blank ones, or the elements of JSON.

    Args:
        body: The inflated bytes.
        claims: Whether a JSON value is a record.

    Raises:
        MalformedBody: A second line of names differs from the first, or JSON that can't be split.
    """
    if is_json(body):
        yield from split_objects(body, LIST_KEYS, claims)
        return
    first: Layout | None = None
    at = 0
    for number, line in enumerate(_lines(body)):
        stripped = line.strip(BLANK)
        names = header_of(stripped) if stripped else None
        if names and number == 0:
            first = names
        elif names and names != first:
            raise MalformedBody(
                "splitting body: a second line of names differs from the first",
                where=f"byte {at}",
                mend="the records before it were taken; keep files of different flow logs apart",
            )
        elif stripped and not names:
            yield stripped
        at += len(line) + 1


def header_in(body: bytes) -> Layout | None:
    """The names at the head of a body of lines."""
    return None if is_json(body) else header_of(next(_lines(body), b"").strip(BLANK))


def _lines(body: bytes) -> Iterator[bytes]:
    """The lines from the first that is not blank on."""
    text = body.removeprefix(_BOM).lstrip(BLANK)
    start = 0
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


def open_record(record: bytes, layout: Layout | None = None, context: Context = ()) -> Flow:
    """Read a record.

    Args:
        record: The exact bytes.
        layout: The fields as the body named them; None: AWS's order.
        context: What a subscription said beside its log events.

    Raises:
        MalformedRecord: Not a record of a flow log, or one whose fields nobody named.
    """
    if not is_json(record):
        return Flow(_of_line(record.decode("utf-8", "replace"), layout))
    outer = parse_object(record, deepest=20)
    logged = log_event_of(outer, context)
    if logged:
        return Flow(_of_line(logged.message, layout), logged)
    fields = {field_named(name): value for name, value in outer.items()}
    if len(_TELLING.intersection(fields)) < _FEWEST_TELLING:
        raise MalformedRecord(
            "reading flow log record: it has no two of srcaddr, dstaddr, interface-id, action and log-status",
            mend="send only VPC flow logs to this source, or choose another format",
        )
    return Flow({name: value for name, value in fields.items() if value not in (None, "", _ABSENT)})


def _of_line(line: str, layout: Layout | None) -> Mapping[str, str]:
    values = line.split()
    names = layout or layout_of(values)
    if names is None:
        raise MalformedRecord(
            f"reading flow log record: nobody named its {len(values)} fields, and they are not AWS's in AWS's order: "
            f"{text_of(line[:_LONGEST_SHOWN]) or 'it is empty'}",
            mend=_MEND,
        )
    if len(values) != len(names):
        raise MalformedRecord(
            f"reading flow log record: {len(values)} values for {len(names)} named fields",
            mend="find out who writes to these files: each line has as many values as the line of names has names",
        )
    return {name: value for name, value in zip(names, values, strict=True) if value != _ABSENT} or NOTHING
