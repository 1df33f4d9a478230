"""CloudWatch Logs as a channel: log events, what a subscription says beside them, and its control messages.

A subscription delivers ``{"messageType": …, "owner": …, "logGroup": …, "logStream": …, "logEvents": [{"id": …,
"timestamp": …, "message": …}]}``. A record is an element of `logEvents`; what stands beside them is the body's context.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from ingest.document import utc_millis
from ingest.formats.contract import Document, View
from ingest.parsing.json_value import json_text
from ingest.parsing.scalars import long_of, mapping_of, text_of
from ingest.parsing.times import parse_time
from ingest.schema.envelope import Context
from ingest.schema.errors import MalformedRecord
from ingest.schema.identity import leaf_hash

LIST_KEYS = ("logEvents", "events", "results")
"""Keys whose array holds the records: a subscription, the read API, the answer of a query of Logs Insights."""

_BESIDE = (("owner", "owner"), ("logGroup", "log_group"), ("logStream", "log_stream"))
_LONGEST = 600  # characters; a log group's name has at most 512
_CONTROL = "CWL CONTROL MESSAGE"
_MILLISECONDS = range(-(10**14), 10**14)  # what a date can hold, about
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)


class LogEvent(NamedTuple):
    """One log event.

    Attributes:
        message: Its text.
        at: When the log group has it, ISO 8601; empty where it is not told.
        beside: What is known of its place: `owner`, `log_group`, `log_stream`.
    """

    message: str
    at: str
    beside: Mapping[str, str]


def context_of(body: bytes) -> Context:
    """Owner, log group and log stream of the one subscription message that a body is; nothing of any other body."""
    if b'"logEvents"' not in body:
        return ()
    try:
        members = _members.decode(body)
        return tuple((name, _text.decode(members[key])[:_LONGEST]) for key, name in _BESIDE if key in members)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()


def log_event_of(outer: Mapping[str, Any], context: Context = ()) -> LogEvent | None:
    """The log event that an object is: of a subscription, of the read API, of Logs Insights; None when it is none."""
    message = outer.get("message")
    if message.__class__ is not str or "timestamp" not in outer:
        message = outer.get("@message")
        if message.__class__ is not str:
            return None
    beside = dict(context)
    for names, name in (
        (("logGroup", "logGroupName", "@log"), "log_group"),
        (("logStream", "logStreamName", "@logStream"), "log_stream"),
    ):
        told = next((text for key in names if (text := text_of(outer.get(key)))), None)
        if told:
            beside[name] = told[:_LONGEST]
    return LogEvent(message, _moment(outer), beside)


def _moment(outer: Mapping[str, Any]) -> str:
    told = outer.get("timestamp") or outer.get("@timestamp")
    millis = long_of(told)
    if millis is not None and millis in _MILLISECONDS:
        return utc_millis(dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=millis))
    parsed = parse_time(told) if told.__class__ is str else None
    return utc_millis(parsed.moment) if parsed else ""


class ControlReading:
    """A message by which CloudWatch Logs checks whether the destination is there; it holds no event of the log."""

    __slots__ = ("_event", "record", "shown")

    def __init__(self, record: bytes, event: LogEvent) -> None:
        self.record = self.shown = record
        self._event = event

    def identify(self) -> str | None:
        """None: its own id is empty."""
        return None

    def view(self) -> View:
        """Nothing for rules."""
        return View(vendor={}, final=False, member=f"leaf:{leaf_hash(self.record).hex()}")

    def normalise(self) -> Document:
        """A document that says so.

        Raises:
            MalformedRecord: It has no time.
        """
        if not self._event.at:
            raise MalformedRecord("reading control message of CloudWatch Logs: it has no time", where="timestamp")
        return {
            "@timestamp": self._event.at,
            "message": self._event.message,
            "event": {
                "kind": "event",
                "category": ["api"],
                "type": ["info"],
                "outcome": "unknown",
                "action": "ControlMessage",
                "provider": "logs.amazonaws.com",
                "id": f"leaf:{leaf_hash(self.record).hex()}",
            },
            "cloud": {"provider": "aws"},
        }


def control_message(record: bytes) -> ControlReading | None:
    """The reading of a record that is a control message; None of any other."""
    if _CONTROL.encode() not in record:
        return None
    event = log_event_of(mapping_of(json_text(record.decode("utf-8", "replace"))))
    return ControlReading(record, event) if event and event.message.startswith(_CONTROL) else None
