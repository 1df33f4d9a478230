"""From the bytes of a record to a log event, an event of EventBridge or the notice of an alarm.

Much of what comes through CloudWatch and EventBridge is a log of its own: such a record is refused with the name of its
format, so that one set of fields and rules sees it however it came.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.formats.aws_records import log_groups
from ingest.formats.aws_records.log_groups import LogEvent, log_event_of
from ingest.formats.aws_vpcflow.layouts import layout_of
from ingest.parsing.json_value import json_text, parse_object
from ingest.parsing.scalars import NOTHING, mapping_of, text_of
from ingest.schema.envelope import Context
from ingest.schema.errors import MalformedRecord

LIST_KEYS = log_groups.LIST_KEYS

_DEEPEST = 100  # levels
_IDS = ("id", "eventId", "MessageId")
_CLOUDTRAIL = re.compile(r'"eventSource"\s*:\s*"[a-z0-9.-]+\.amazonaws\.com"')
_KUBERNETES = re.compile(r'"apiVersion"\s*:\s*"audit\.k8s\.io/')
_FLOW_FIELDS = 100  # characters at the start of a message in which a flow record has three blanks
_OWN = (("via CloudTrail", "aws.cloudtrail"), ("GuardDuty Finding", "aws.guardduty"))


class Opened(NamedTuple):
    """What a record holds; one of `event`, `alarm` and `logged` at least is there.

    Attributes:
        event: An event of EventBridge; empty when it is none.
        alarm: What a topic tells of an alarm; empty when it is none.
        logged: The log event; None outside of CloudWatch Logs.
        message: The message of the log event where that is a JSON object, else empty.
        own_id: The id that AWS gave the log event, the event or the notification.
    """

    event: Mapping[str, Any] = NOTHING
    alarm: Mapping[str, Any] = NOTHING
    logged: LogEvent | None = None
    message: Mapping[str, Any] = NOTHING
    own_id: str | None = None


def open_record(record: bytes, context: Context = ()) -> Opened:
    """Read a record.

    Raises:
        MalformedRecord: Not JSON, none of the three, or a record of another format, which is named.
    """
    outer = parse_object(record, deepest=_DEEPEST)
    own_id = next((text for name in _IDS if (text := text_of(outer.get(name)))), None)
    logged = log_event_of(outer, context)
    if logged:
        return _of_log_group(logged)._replace(own_id=own_id)
    inner: Mapping[str, Any] = outer
    if outer.get("Type") == "Notification" and outer.get("Message").__class__ is str:
        inner = mapping_of(json_text(outer["Message"]))
    if "detail-type" in inner:
        return Opened(event=_judged(inner), own_id=own_id)
    if "AlarmName" in inner and "NewStateValue" in inner:
        return Opened(alarm=inner, own_id=own_id)
    raise MalformedRecord(
        "reading CloudWatch record: no log event, no event of EventBridge and no notice of an alarm",
        mend="find out what else writes to this source, or choose another format",
    )


def _of_log_group(logged: LogEvent) -> Opened:
    text = logged.message
    if text[:_FLOW_FIELDS].count(" ") > 2 and text[:1].isdigit() and layout_of(text.split()):  # noqa: PLR2004
        raise _belongs_to("aws.vpcflow")
    if not text.lstrip().startswith("{"):
        return Opened(logged=logged)
    message = mapping_of(json_text(text))
    if "detail-type" in message:
        return Opened(event=_judged(message), logged=logged)
    if _CLOUDTRAIL.search(text) and "eventName" in message:
        raise _belongs_to("aws.cloudtrail")
    if _KUBERNETES.search(text) and "auditID" in message:
        raise _belongs_to("kubernetes.audit")
    return Opened(logged=logged, message=message)


def _judged(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event, unless it is a record of another format.

    Raises:
        MalformedRecord: It is.
    """
    kind = text_of(event.get("detail-type")) or ""
    for ending, owner in _OWN:
        if kind.endswith(ending):
            raise _belongs_to(owner)
    return event


def _belongs_to(name: str) -> MalformedRecord:
    return MalformedRecord(
        f"reading CloudWatch record: this one belongs to the format {name}",
        mend=f"give this source a collector with the format {name}, or with the format auto",
    )
