"""From a log entry with a flow to its ECS document (reference/ecs-mapping.md §8.3, §9)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from ingest.document import utc_millis
from ingest.formats.contract import Document
from ingest.formats.gcp_records.messages import publish_time
from ingest.formats.gcp_records.place import LogName, log_name_of, place_of
from ingest.formats.gcp_vpcflow.records import Opened
from ingest.parsing.addresses import ip_of
from ingest.parsing.community_id import community_id
from ingest.parsing.flattened import flattened
from ingest.parsing.ip_protocols import transport_name
from ingest.parsing.scalars import NOTHING, long_of, mapping_of, mappings_of, picked, text_of
from ingest.parsing.times import ParsedTime, parse_time
from ingest.schema.errors import MalformedRecord

_ENDS = (("src", "source"), ("dest", "destination"))
_PORTS, _PROTOCOLS = range(65_536), range(256)
_OWN_NAMES = """
    connection bytes_sent packets_sent start_time end_time reporter rtt_msec round_trip_time src_instance dest_instance
    src_vpc dest_vpc src_location dest_location src_gke_details dest_gke_details src_google_service dest_google_service
    src_gateway dest_gateway
"""
_OWN = frozenset(_OWN_NAMES.split())
"""Members of a flow that have fields of their own."""

_PLACE = (
    ("city", "city_name"),
    ("continent", "continent_name"),
    ("country", "country_name"),
    ("region", "region_name"),
)


def document_of(opened: Opened, own_id: str) -> Document:
    """The ECS document of an opened record.

    Args:
        opened: The entry.
        own_id: `event.id`: the insert id, else the leaf.

    Raises:
        MalformedRecord: No time is in it.
    """
    entry, flow = opened.entry, opened.flow
    moment, marks = _event_time(opened)
    log = log_name_of(text_of(entry.get("logName")) or "")
    ends = {name: _end(flow, short) for short, name in _ENDS}
    counts = _counts(flow)
    document: Document = {
        "@timestamp": moment,
        "event": {
            "kind": "event",
            "category": ["network"],
            "type": ["connection"],
            "outcome": "unknown",
            "action": "flow",
            "provider": "vpc_flows",
            "module": "gcp",
            "dataset": "gcp.vpcflow",
            "id": own_id,
            **_span(flow),
        },
        "source": {**ends["source"], **counts},
        "destination": ends["destination"],
        "network": {**_network(flow, ends), **counts},
        "gcp": _vendor(flow, log),
        **_place(entry, flow, log),
        "related": _related(flow, ends),
        "log": picked(entry, (("logName", "logger"), ("severity", "level"))),
    }
    if marks:
        document["skytrail"] = {"time": {"marks": marks}}
    if opened.wrapper:
        document["labels"] = {"skytrail_channel": "pubsub"}
    return {name: part for name, part in document.items() if part}


def _event_time(opened: Opened) -> tuple[str, list[str]]:
    """`timestamp`, else another time of the same record, marked.

    Raises:
        MalformedRecord: No time is in the record.
    """
    others = (
        ("timestamp", opened.entry.get("timestamp")),
        ("end_time", opened.flow.get("end_time")),
        ("start_time", opened.flow.get("start_time")),
        ("receiveTimestamp", opened.entry.get("receiveTimestamp")),
        ("publishTime", publish_time(opened.wrapper)),
    )
    for place, value in others:
        found = _time(value)
        if found and place == "timestamp":
            return utc_millis(found.moment), list(found.marks)
        if found:
            return utc_millis(found.moment), ["missing_event_time", f"taken from {place}", *found.marks]
    raise MalformedRecord(
        "reading timestamp: the flow has no readable time",
        where="timestamp",
        mend="an export that removed it can't be placed in time; fetch the original log",
    )


def _time(value: Any) -> ParsedTime | None:
    return parse_time(value) if value.__class__ is str else None


def _span(flow: Mapping[str, Any]) -> dict[str, Any]:
    """First and last packet, and what lies between."""
    times: dict[str, dt.datetime] = {}
    for name, key in (("start", "start_time"), ("end", "end_time")):
        found = _time(flow.get(key))
        if found:
            times[name] = found.moment
    span: dict[str, Any] = {name: utc_millis(moment) for name, moment in times.items()}
    if len(times) == len(_ENDS) and times["end"] >= times["start"]:
        span["duration"] = int((times["end"] - times["start"]).total_seconds() * 1_000_000_000)
    return span


def _end(flow: Mapping[str, Any], end: str) -> dict[str, Any]:
    connection = mapping_of(flow.get("connection"))
    found: dict[str, Any] = {}
    address = text_of(connection.get(f"{end}_ip"))
    if address:
        found["address"] = address
        ip = ip_of(address)
        if ip:
            found["ip"] = ip
    port = long_of(connection.get(f"{end}_port"))
    if port in _PORTS:
        found["port"] = port
    name = _name_of(flow, end)
    if name:
        found["domain"] = name
    location = mapping_of(flow.get(f"{end}_location"))
    geo = picked(location, _PLACE)
    if geo:
        found["geo"] = geo
    number = long_of(location.get("asn"))
    if number is not None and number >= 0:
        found["as"] = {"number": number}
    return found


def _name_of(flow: Mapping[str, Any], end: str) -> str | None:
    """The machine's name, else the pod's."""
    machine = text_of(mapping_of(flow.get(f"{end}_instance")).get("vm_name"))
    return machine or text_of(_pod(flow, end).get("pod_name"))


def _pod(flow: Mapping[str, Any], end: str) -> Mapping[str, Any]:
    return mapping_of(mapping_of(flow.get(f"{end}_gke_details")).get("pod"))


def _counts(flow: Mapping[str, Any]) -> dict[str, int]:
    found = {}
    for name, key in (("bytes", "bytes_sent"), ("packets", "packets_sent")):
        count = long_of(flow.get(key))
        if count is not None and count >= 0:
            found[name] = count
    return found


def _network(flow: Mapping[str, Any], ends: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    source, destination = ends["source"], ends["destination"]
    found: dict[str, Any] = {"direction": _direction(flow)}
    ip = source.get("ip") or destination.get("ip")
    if ip:
        found["type"] = "ipv6" if ":" in ip else "ipv4"
    network = text_of(mapping_of(flow.get(f"{_reporter(flow)}_vpc")).get("vpc_name"))
    if network:
        found["name"] = network
    protocol = long_of(mapping_of(flow.get("connection")).get("protocol"))
    if protocol is None or protocol not in _PROTOCOLS:
        return found
    found["iana_number"] = str(protocol)
    transport = transport_name(protocol)
    if transport:
        found["transport"] = transport
    if "ip" in source and "ip" in destination:
        flow_id = community_id(source["ip"], destination["ip"], protocol, source.get("port"), destination.get("port"))
        if flow_id:
            found["community_id"] = flow_id
    return found


def _direction(flow: Mapping[str, Any]) -> str:
    """Seen from the networks of the organisation: an end is inside when its machine or network is told."""
    inside = [bool(mapping_of(flow.get(f"{end}_instance")) or mapping_of(flow.get(f"{end}_vpc"))) for end, _ in _ENDS]
    return {(True, True): "internal", (True, False): "outbound", (False, True): "inbound"}.get(
        (inside[0], inside[1]), "unknown"
    )


def _reporter(flow: Mapping[str, Any]) -> str:
    """The end that wrote the record; `src` where nobody says."""
    return "dest" if (text_of(flow.get("reporter")) or "").upper().startswith("DEST") else "src"


def _place(entry: Mapping[str, Any], flow: Mapping[str, Any], log: LogName) -> dict[str, Any]:
    """Where the machine is that wrote the record; without one, where the log says."""
    found = place_of(entry, NOTHING, log)
    cloud = found["cloud"]
    cloud["service"] = {"name": "vpc"}
    machine = mapping_of(flow.get(f"{_reporter(flow)}_instance"))
    project = text_of(machine.get("project_id"))
    if project:
        cloud["account"] = {"id": project}
        cloud["project"] = {"id": project}
    cloud.update(picked(machine, (("region", "region"), ("zone", "availability_zone"))))
    name = text_of(machine.get("vm_name"))
    if name:
        found["host"] = {"name": name}
    return found


def _vendor(flow: Mapping[str, Any], log: LogName) -> dict[str, Any]:
    own = picked(flow, (("reporter", "reporter"),))
    delay = text_of(flow.get("rtt_msec") or mapping_of(flow.get("round_trip_time")).get("median_msec"))
    try:
        milliseconds = float(delay) if delay else None
    except ValueError:
        milliseconds = None
    if milliseconds is not None and 0 <= milliseconds < float("inf"):
        own["rtt"] = {"ms": milliseconds}
    if log.id:
        own["log_id"] = log.id
    rest = flattened({name: value for name, value in flow.items() if name not in _OWN})
    if rest:
        own["flattened"] = rest
    parts = {"vpcflow": own, **{name: _vendor_end(flow, end) for end, name in _ENDS}}
    return {name: part for name, part in parts.items() if part}


def _vendor_end(flow: Mapping[str, Any], end: str) -> dict[str, Any]:
    machine = mapping_of(flow.get(f"{end}_instance"))
    instance = picked(machine, (("project_id", "project_id"), ("region", "region"), ("zone", "zone")))
    group = text_of(mapping_of(machine.get("managed_instance_group")).get("name"))
    if group:
        instance["group"] = group
    network = picked(
        mapping_of(flow.get(f"{end}_vpc")),
        (("project_id", "project_id"), ("vpc_name", "vpc_name"), ("subnetwork_name", "subnetwork_name")),
    )
    details = mapping_of(flow.get(f"{end}_gke_details"))
    cluster = {
        **picked(mapping_of(details.get("cluster")), (("cluster_name", "name"),)),
        **picked(mapping_of(details.get("pod")), (("pod_name", "pod"), ("pod_namespace", "namespace"))),
    }
    found: dict[str, Any] = {"instance": instance, "vpc": network, "cluster": cluster}
    service = mapping_of(flow.get(f"{end}_google_service"))
    found["google_service"] = text_of(service.get("service_name")) or text_of(service.get("type"))
    found["gateway"] = text_of(mapping_of(flow.get(f"{end}_gateway")).get("name"))
    return {name: part for name, part in found.items() if part}


def _related(flow: Mapping[str, Any], ends: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    services = [
        text_of(service.get("service_name"))
        for end, _ in _ENDS
        for service in mappings_of(mapping_of(flow.get(f"{end}_gke_details")).get("service"))
    ]
    networks = [text_of(mapping_of(flow.get(f"{end}_vpc")).get("vpc_name")) for end, _ in _ENDS]
    lists = (
        ("ip", [end.get("ip") for end in ends.values()]),
        ("hosts", [end.get("domain") for end in ends.values()]),
        ("entity", [*services, *networks]),
    )
    return {name: told for name, values in lists if (told := sorted({value for value in values if value}))}
