"""From the bytes of a record to the one shape of Azure's resource log schema, whatever the channel made of it.

A record is the exact slice of what the channel delivered: an element of ``{"records": […]}`` (Event Hubs, diagnostic
settings) or ``{"value": […]}`` (REST, Microsoft Graph), a line of a blob, a row of Log Analytics, an object of an SDK.

https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-schema
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from ingest.formats.azure_records import kinds
from ingest.formats.azure_records.shapes import shaped
from ingest.formats.azure_records.spelling import respelled
from ingest.parsing.json_value import parse_object
from ingest.schema.errors import MalformedRecord

LIST_KEYS = ("records", "value", "Records")
"""Keys whose array holds the records."""

_DEEPEST = 200  # levels; Azure nests below 30, and what follows walks objects with the interpreter's stack


class Opened(NamedTuple):
    """A record in the shape of the resource log schema.

    Attributes:
        event: The record, names as Azure spells them; a new object.
        kind: Name of the format it belongs to.
    """

    event: dict[str, Any]
    kind: str


def open_any(record: bytes) -> Opened:
    """Parse a record of any of Azure's logs.

    Raises:
        MalformedRecord: Not a JSON object, nested too deep, or of no log that we know.
    """
    event = respelled(parse_object(record, deepest=_DEEPEST))
    kind = kinds.kind_of(event)
    if kind is None:
        raise MalformedRecord(
            "reading Azure record: neither its category nor its members say which log it is of",
            mend="find out what else writes to this source; rows of a query need their column names",
        )
    return Opened(shaped(event, kind), kind)


@functools.lru_cache(maxsize=4)
def kind_in(record: bytes) -> str | None:
    """The name of the format of a record; None when it is of none of Azure's.

    Memoised: every format of Azure is asked about the same record, one after the other.
    """
    try:
        return kinds.kind_of(respelled(parse_object(record, deepest=_DEEPEST)))
    except MalformedRecord:
        return None


def open_record(record: bytes, wanted: str) -> Opened:
    """Parse a record that must be of one log.

    Args:
        record: The exact bytes.
        wanted: Name of the format.

    Raises:
        MalformedRecord: As `open_any`, or it is of another log, which is named.
    """
    opened = open_any(record)
    if opened.kind != wanted:
        category = opened.event.get("category")
        told = f" (category {str(category)[:64]!r})" if category else ""
        raise MalformedRecord(
            f"reading {wanted} record: this one belongs to {opened.kind}{told}",
            mend=f"give this source a collector with the format {opened.kind} too, or send only the wanted category",
        )
    return opened
