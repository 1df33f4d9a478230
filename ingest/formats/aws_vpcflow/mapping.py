"""From the record of a flow log to its ECS document (reference/ecs-mapping.md §8.3, §9)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.document import utc_millis
from ingest.formats.aws_vpcflow.fields import TEXTS, target
from ingest.formats.aws_vpcflow.records import Flow
from ingest.formats.contract import Document
from ingest.parsing.addresses import ip_of
from ingest.parsing.community_id import community_id
from ingest.parsing.ip_protocols import transport_name
from ingest.parsing.scalars import long_of, text_of
from ingest.parsing.times import parse_time
from ingest.schema.errors import MalformedRecord

_TEXTS = tuple((name, target(name)) for name in TEXTS)
_FLAGS = ((1, "fin"), (2, "syn"), (4, "rst"), (8, "psh"), (16, "ack"), (32, "urg"))
_OUTCOMES = {"ACCEPT": ("success", ["connection", "allowed"]), "REJECT": ("failure", ["connection", "denied"])}
_ENTITIES = ("interface-id", "vpc-id", "subnet-id", "ecs-task-arn", "ecs-cluster-arn", "resource-id")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECONDS_DIGITS = 11  # a longer number counts milliseconds
_GAP = "SKIPDATA"
_LONGEST_PORT, _LONGEST_PROTOCOL = range(65_536), range(256)


class End(NamedTuple):
    """One end of a flow, as `source` or `destination`."""

    address: str | None
    ip: str | None
    port: int | None

    def document(self) -> dict[str, Any]:
        """What is known of it."""
        found = {"address": self.address, "ip": self.ip, "port": self.port}
        return {name: value for name, value in found.items() if value is not None}


def document_of(flow: Flow, own_id: str) -> Document:
    """The ECS document of a record.

    Args:
        flow: Its fields.
        own_id: `event.id`.

    Raises:
        MalformedRecord: It has no time.
    """
    fields = flow.fields
    start, end = _moment(fields.get("start")), _moment(fields.get("end"))
    moment, marks = _time(flow, start, end)
    source, destination = _end(fields, "srcaddr", "srcport"), _end(fields, "dstaddr", "dstport")
    packets, octets = _count(fields.get("packets")), _count(fields.get("bytes"))
    traffic = {name: value for name, value in (("bytes", octets), ("packets", packets)) if value is not None}
    document: Document = {
        "@timestamp": moment,
        "event": {**_event(fields, own_id), **_span(start, end)},
        "aws": _vendor(flow),
        "source": {**source.document(), **traffic},
        "destination": destination.document(),
        "network": {**_network(fields, source, destination), **traffic},
        "cloud": _cloud(flow),
        "related": _related(fields, source, destination),
    }
    instance = text_of(fields.get("instance-id"))
    if instance:
        document["host"] = {"id": instance}
    container = text_of(fields.get("ecs-container-id"))
    if container:
        document["container"] = {"id": container}
    if marks:
        document["skytrail"] = {"time": {"marks": marks}}
    if fields.get("log-status") == _GAP:
        document["labels"] = {"skytrail_gap": "flows of this interval were not logged by AWS"}
    return {name: part for name, part in document.items() if part}


def _time(flow: Flow, start: dt.datetime | None, end: dt.datetime | None) -> tuple[str, list[str]]:
    """The end of the interval, else its begin, else the time in the log group."""
    if end:
        return utc_millis(end), []
    if start:
        return utc_millis(start), ["missing_event_time", "taken from start"]
    if flow.logged and flow.logged.at:
        return flow.logged.at, ["missing_event_time", "taken from the log group"]
    raise MalformedRecord(
        "reading flow log record: it has no readable time",
        where="end",
        mend="add start and end to the custom format of this flow log",
    )


def _moment(value: Any) -> dt.datetime | None:
    number = long_of(value)
    if number is not None:
        seconds = number if len(str(number)) <= _SECONDS_DIGITS else number / 1000
        try:
            return _EPOCH + dt.timedelta(seconds=seconds)
        except OverflowError:
            return None
    parsed = parse_time(value) if value.__class__ is str else None
    return parsed.moment if parsed else None


def _span(start: dt.datetime | None, end: dt.datetime | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: utc_millis(moment) for name, moment in (("start", start), ("end", end)) if moment is not None
    }
    if start and end and end >= start:
        found["duration"] = int((end - start).total_seconds() * 1_000_000_000)
    return found


def _event(fields: Mapping[str, Any], own_id: str) -> dict[str, Any]:
    """Records without a flow (no traffic, or data that AWS lost) say neither allowed nor denied."""
    action, status = text_of(fields.get("action")) or "", text_of(fields.get("log-status")) or ""
    flows = status in ("", "OK")
    outcome, types = _OUTCOMES.get(action.upper(), ("unknown", ["connection"] if flows else ["info"]))
    return {
        "kind": "event",
        "category": ["network"],
        "type": list(types),
        "outcome": outcome,
        "action": (action or (status if not flows else "") or "flow").lower(),
        "provider": "vpcflow",
        "module": "aws",
        "dataset": "aws.vpcflow",
        "id": own_id,
    }


def _vendor(flow: Flow) -> dict[str, Any]:
    found: dict[str, Any] = {
        place: text for name, place in _TEXTS if (text := text_of(flow.fields.get(name))) is not None
    }
    for name in ("pkt-srcaddr", "pkt-dstaddr"):
        ip = ip_of(text_of(flow.fields.get(name)) or "")
        if ip:
            found[target(name)] = ip
    flags = long_of(flow.fields.get("tcp-flags")) or 0
    names = [name for bit, name in _FLAGS if flags & bit]
    if names:
        found["tcp_flags_array"] = names
    parts: dict[str, Any] = {"vpcflow": found}
    if flow.logged:
        parts["cloudwatch"] = {
            name: flow.logged.beside[name] for name in ("log_group", "log_stream") if flow.logged.beside.get(name)
        }
    return {name: part for name, part in parts.items() if part}


def _end(fields: Mapping[str, Any], address: str, port: str) -> End:
    text, number = text_of(fields.get(address)), long_of(fields.get(port))
    return End(text, ip_of(text) if text else None, number if number in _LONGEST_PORT else None)


def _count(value: Any) -> int | None:
    number = long_of(value)
    return number if number is not None and number >= 0 else None


def _network(fields: Mapping[str, Any], source: End, destination: End) -> dict[str, Any]:
    found: dict[str, Any] = {}
    protocol = long_of(fields.get("protocol"))
    ip = source.ip or destination.ip
    if ip:
        found["type"] = "ipv6" if ":" in ip else "ipv4"
    direction = text_of(fields.get("flow-direction"))
    if direction:
        found["direction"] = direction.lower()
    if protocol is None or protocol not in _LONGEST_PROTOCOL:
        return found
    found["iana_number"] = str(protocol)
    name = transport_name(protocol)
    if name:
        found["transport"] = name
    if source.ip and destination.ip:
        flow_id = community_id(source.ip, destination.ip, protocol, source.port, destination.port)
        if flow_id:
            found["community_id"] = flow_id
    return found


def _cloud(flow: Flow) -> dict[str, Any]:
    found: dict[str, Any] = {"provider": "aws", "service": {"name": "vpc"}}
    account = text_of(flow.fields.get("account-id"))
    if not account or account == "unknown":
        account = flow.logged.beside.get("owner") if flow.logged else None
    if account:
        found["account"] = {"id": account}
    for name, place in (("region", "region"), ("az-id", "availability_zone")):
        text = text_of(flow.fields.get(name))
        if text:
            found[place] = text
    instance = text_of(flow.fields.get("instance-id"))
    if instance:
        found["instance"] = {"id": instance}
    return found


def _related(fields: Mapping[str, Any], source: End, destination: End) -> dict[str, list[str]]:
    ips = {source.ip, destination.ip}
    ips.update(ip_of(text_of(fields.get(name)) or "") for name in ("pkt-srcaddr", "pkt-dstaddr"))
    instance = text_of(fields.get("instance-id"))
    lists = (
        ("ip", ips),
        ("hosts", {instance}),
        ("entity", {instance, *(text_of(fields.get(name)) for name in _ENTITIES)}),
    )
    return {name: told for name, values in lists if (told := sorted(filter(None, values)))}
