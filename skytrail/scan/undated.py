"""Documents of events that lost their time, as exports and hand-made samples do.

In the stream such a record is sealed and becomes a dead letter: it can't be placed in time. A hunt must not miss it. So
it is read once more as if it had happened at the begin of 1970, and its document, without that time, is shown to the
rules, many of which ask for the outcome or the principal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.document import Identified, Receipt, complete
from ingest.formats.contract import Format
from ingest.schema.errors import RejectedRecord

_BEGIN = b'"1970-01-01T00:00:00Z"'


def complete_undated(format_: Format, record: bytes, receipt: Receipt) -> Identified | None:
    """The record's event without a time; None where more than its time is missing.

    Args:
        receipt: As for `complete`.
    """
    end = record.rstrip()
    if not format_.clock_name or not end.endswith(b"}"):
        return None
    clock = b',"' + format_.clock_name.encode() + b'":' + _BEGIN + b"}"
    try:
        event = complete(format_, end[:-1] + clock, receipt, receipt.received_at)
    except RejectedRecord:
        return None
    event.document.pop("@timestamp", None)
    return event


def document_of(format_: Format, record: bytes, receipt: Receipt) -> Mapping[str, Any]:
    """The document that rules see of a record; empty where normalising refuses it for more than its time."""
    try:
        return complete(format_, record, receipt, receipt.received_at).document
    except RejectedRecord:
        event = complete_undated(format_, record, receipt)
        return event.document if event else {}
