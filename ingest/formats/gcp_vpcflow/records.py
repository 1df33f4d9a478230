"""From the bytes of a record to a log entry with a flow, whatever the channel wrapped around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.formats.gcp_records.messages import data_of, message_of
from ingest.parsing.json_value import parse_object
from ingest.parsing.scalars import NOTHING, mapping_of, text_of
from ingest.parsing.spelling import Names
from ingest.schema.errors import MalformedRecord

_LOG = "vpc_flows"
_DEEPEST = 100  # levels; flows nest below ten
_ENTRY = Names(
    "insertId logName timestamp receiveTimestamp severity",
    {
        "resource": Names("type labels"),
        "jsonPayload": Names(
            """
            connection reporter bytes_sent packets_sent start_time end_time rtt_msec src_instance dest_instance src_vpc
            dest_vpc src_location dest_location src_gke_details dest_gke_details
            """
        ),
    },
    jsonpayloadv1="jsonPayload",
)
_MEND = "send only VPC flow logs to this source (log names that end with vpc_flows), or choose another format"


class Opened(NamedTuple):
    """A log entry and what came around it.

    Attributes:
        entry: The entry in Google's spelling.
        flow: Its `jsonPayload`.
        wrapper: The Pub/Sub message around it, empty when there was none.
    """

    entry: dict[str, Any]
    flow: Mapping[str, Any]
    wrapper: Mapping[str, Any]


def open_record(record: bytes) -> Opened:
    """Take a record out of its wrapper.

    Raises:
        MalformedRecord: Not JSON, no log entry, or one of another log.
    """
    outer = parse_object(record, deepest=_DEEPEST)
    message = message_of(outer)
    entry = parse_object(data_of(message), "data of a Pub/Sub message", deepest=_DEEPEST) if message else outer
    _ENTRY.respell(entry)
    flow = mapping_of(entry.get("jsonPayload"))
    _judge(entry, flow)
    return Opened(entry, flow, message or NOTHING)


def _judge(entry: Mapping[str, Any], flow: Mapping[str, Any]) -> None:
    """Refuse what is no flow.

    Raises:
        MalformedRecord: It is of another log.
    """
    log = text_of(entry.get("logName")) or ""
    if not flow:
        raise _foreign("it has no jsonPayload")
    connection = mapping_of(flow.get("connection"))
    if "disposition" in flow or "rule_details" in flow:
        raise _foreign("it tells the decision of a firewall rule")
    if log and not log.endswith(_LOG):
        raise _foreign(f"it is of the log {log[:100]}")
    if not log and not ("src_ip" in connection and ("reporter" in flow or "bytes_sent" in flow)):
        raise _foreign("it names no log, and has no connection with a reporter")


def _foreign(why: str) -> MalformedRecord:
    return MalformedRecord(f"reading flow log entry: {why}", where="jsonPayload", mend=_MEND)
