"""From the bytes of a record to a finding, whatever the channel wrapped around it.

A record is a line of an export to S3, an element of ``{"findings": […]}`` (the API's GetFindings; the SDKs write the
names with a capital), an EventBridge event (``{"detail-type": "GuardDuty Finding", "detail": {finding}}``), or such an
event in a log group.

https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Finding.html
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ingest.formats.aws_records import log_groups
from ingest.formats.aws_records.log_groups import LogEvent, log_event_of
from ingest.parsing.json_value import parse_object
from ingest.parsing.scalars import mapping_of, text_of
from ingest.schema.envelope import Context
from ingest.schema.errors import MalformedRecord

LIST_KEYS = ("findings", "Findings", *log_groups.LIST_KEYS)
DETAIL_TYPE = "GuardDuty Finding"

_DEEPEST = 100  # levels; findings nest below twenty
_AS_THEY_ARE = frozenset({"affectedResources", "additionalInfo"})  # objects whose names are values
_TELLING = frozenset({"severity", "service", "resource", "updatedAt", "createdAt"})
_MEND = "send only findings of GuardDuty to this source, or choose another format"


class Opened(NamedTuple):
    """A finding and what came around it.

    Attributes:
        finding: With the names of the API's JSON.
        logged: The log event around it; None outside of CloudWatch Logs.
    """

    finding: dict[str, Any]
    logged: LogEvent | None = None


def open_record(record: bytes, context: Context = ()) -> Opened:
    """Take a finding out of its wrappers.

    Raises:
        MalformedRecord: Not JSON, or no finding.
    """
    outer = parse_object(record, deepest=_DEEPEST)
    logged = log_event_of(outer, context)
    if logged:
        outer = parse_object(logged.message.encode("utf-8", "replace"), "message", deepest=_DEEPEST)
    told = text_of(outer.get("detail-type"))
    if told and told != DETAIL_TYPE:
        raise _foreign(f"it is an event of the kind {told[:100]!r}")
    finding = mapping_of(outer.get("detail")) if told else outer
    if "Id" in finding or "AccountId" in finding:
        finding = _with_small_letters(finding)
    kind = text_of(finding.get("type"))
    if not text_of(finding.get("id")) or not kind or ":" not in kind or _TELLING.isdisjoint(finding):
        raise _foreign("it has no id with a type such as Recon:EC2/Portscan and what belongs to it")
    return Opened(dict(finding), logged)


def _with_small_letters(value: Any) -> Any:
    """Names of an SDK (`AccountId`) as the API's JSON has them (`accountId`)."""
    if isinstance(value, dict):
        return {
            (small := _small(name)): item if small in _AS_THEY_ARE else _with_small_letters(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_with_small_letters(item) for item in value]
    return value


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]


def _foreign(why: str) -> MalformedRecord:
    return MalformedRecord(f"reading GuardDuty finding: {why}", mend=_MEND)
