"""When an event happened: `time`, else another time of the same record, with a mark; never "now"."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ingest.document import utc_millis
from ingest.parsing.scalars import mapping_of
from ingest.parsing.times import LONGEST, parse_time
from ingest.schema.errors import MalformedRecord

_OTHERS = ("timeGenerated", "eventTimestamp", "timestamp", "eventTimeString", "submissionTimestamp")
_INNER = ("createdDateTime", "activityDateTime", "detectedDateTime", "eventTimestamp", "timestamp")


def event_time(event: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """ISO time of an event and what was odd about it (`skytrail.time.marks`).

    Raises:
        MalformedRecord: `time` is there and names no possible moment, or it is absent and no other time is there.
    """
    value = event.get("time")
    if value is not None and value != "":
        found = iso_time(value)
        if found is not None:
            return found
        mark = "unreadable_event_time"
    else:
        mark = "missing_event_time"
    for names, source in ((_OTHERS, event), (_INNER, mapping_of(event.get("properties")))):
        for name in names:
            found = iso_time(source.get(name))
            if found is not None:
                return found[0], (mark, f"taken from {name}", *found[1])
    raise MalformedRecord(
        f"reading Azure record: no readable time in it (time is {str(value)[:80]!r})",
        where="time",
        mend="an export that removed it can't be placed in time; fetch the original records",
    )


def iso_time(value: Any) -> tuple[str, tuple[str, ...]] | None:
    """A time text as ISO 8601 in UTC with marks; None when it is no time."""
    return _iso_of(value) if value.__class__ is str and len(value) <= LONGEST else None


@functools.lru_cache(maxsize=4096)
def _iso_of(text: str) -> tuple[str, tuple[str, ...]] | None:
    parsed = parse_time(text)
    return (utc_millis(parsed.moment), parsed.marks) if parsed else None
