"""Whose a record is: the key of who acted, if that may be a person.

A record of an administrator about a user is the administrator's. What can't be read, what nobody did, and what services
did is nobody's, and goes with its month. A dead letter is of the same subject as the record in it.
"""

from __future__ import annotations

from collections.abc import Callable

from ingest.formats.registry import format_named
from ingest.schema import dead_letter
from ingest.schema.envelope import Header
from ingest.schema.errors import ConfigError, RejectedRecord, UnsupportedEnvelope
from ingest.schema.principals import NOBODY


def as_received(header: Header | None, record: bytes) -> tuple[Header | None, bytes]:
    """The record and its header; of a dead letter those in it. No header where nothing tells of one."""
    if header is not None:
        return header, record
    try:
        letter = dead_letter.decode(record)
    except UnsupportedEnvelope:
        return None, record
    return letter.header, letter.body


SubjectOf = Callable[[Header | None, bytes], str]
"""(what the envelope said, a record) → its subject; empty: nobody's."""


def principal_of(header: Header | None, record: bytes) -> str:
    """`skytrail.principal.key` of a record, as its document has it; empty where it is nobody's. Never raises."""
    header, record = as_received(header, record)
    if header is None:
        return ""
    try:
        document = format_named(header.format).within(header.context).read(record).normalise()
    except (ConfigError, RejectedRecord):
        return ""  # sealed all the same: it becomes a dead letter, or waits for a build that knows its format
    principal = document.get("skytrail", {}).get("principal", {})
    return "" if principal.get("type") in NOBODY else str(principal.get("key", ""))
