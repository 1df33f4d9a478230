"""What was observed: the two ends of the traffic or the caller of an API, out of `service.action`.

https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Action.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ingest.parsing.addresses import ip_of
from ingest.parsing.scalars import long_of, mapping_of, mappings_of, text_of, texts_of

_PORTS = range(65_536)
_ACTIONS = (
    "awsApiCallAction",
    "networkConnectionAction",
    "portProbeAction",
    "kubernetesApiCallAction",
    "rdsLoginAttemptAction",
    "dnsRequestAction",
    "kubernetesPermissionCheckedDetails",
)


class Observed(NamedTuple):
    """The parts of a document that an action fills.

    Attributes:
        ips: Every address in it.
        failed: Whether the call that was observed was refused.
    """

    source: dict[str, Any]
    destination: dict[str, Any]
    network: dict[str, Any]
    dns: dict[str, Any]
    service: str | None
    user_agent: str | None
    ips: frozenset[str]
    failed: bool


def observed_in(action: Mapping[str, Any]) -> Observed:
    """Read an action; what it does not tell stays empty."""
    inner = next((found for name in _ACTIONS if (found := mapping_of(action.get(name)))), {})
    probes = mappings_of(inner.get("portProbeDetails"))
    told = probes[0] if probes else inner
    remote = _end(told.get("remoteIpDetails"), told.get("remotePortDetails"))
    local = _end(told.get("localIpDetails"), told.get("localPortDetails"))
    outwards = (text_of(inner.get("connectionDirection")) or "").upper() == "OUTBOUND"
    source, destination = (local, remote) if outwards else (remote, local)
    if not source and (callers := _callers(inner)):
        source = {"address": callers[0], "ip": callers[0]}
    network: dict[str, Any] = {}
    protocol = text_of(inner.get("protocol"))
    if protocol:
        network["transport"] = protocol.lower()
    direction = text_of(inner.get("connectionDirection"))
    if direction and direction.upper() != "UNKNOWN":
        network["direction"] = direction.lower()
    name = text_of(inner.get("domain"))
    return Observed(
        source,
        destination,
        network,
        {"question": {"name": name}} if name else {},
        text_of(inner.get("serviceName")),
        text_of(inner.get("userAgent")),
        frozenset(_ips(inner, probes)),
        text_of(inner.get("errorCode")) is not None,
    )


def _ips(inner: Mapping[str, Any], probes: list[Mapping[str, Any]]) -> Iterator[str]:
    for told in (inner, *probes):
        for name in ("remoteIpDetails", "localIpDetails"):
            ip = _address(mapping_of(told.get(name)))
            if ip:
                yield ip
    yield from _callers(inner)


def _callers(inner: Mapping[str, Any]) -> list[str]:
    """The addresses that a Kubernetes API server named."""
    texts = texts_of(inner.get("sourceIps") or inner.get("sourceIPs"))
    return [ip for text in texts if (ip := ip_of(text))]


def _address(details: Mapping[str, Any]) -> str | None:
    text = text_of(details.get("ipAddressV4")) or text_of(details.get("ipAddressV6"))
    return ip_of(text) if text else None


def _end(details: Any, ports: Any) -> dict[str, Any]:
    told = mapping_of(details)
    found: dict[str, Any] = {}
    ip = _address(told)
    if ip:
        found["address"] = found["ip"] = ip
    port = long_of(mapping_of(ports).get("port"))
    if port in _PORTS:
        found["port"] = port
    geo = _geo(told)
    if geo:
        found["geo"] = geo
    owner = mapping_of(told.get("organization"))
    number = long_of(owner.get("asn"))
    name = text_of(owner.get("asnOrg")) or text_of(owner.get("org"))
    network: dict[str, Any] = {"number": number} if number is not None and number >= 0 else {}
    if name:
        network["organization"] = {"name": name}
    if network:
        found["as"] = network
    return found


def _geo(told: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, key, inner in (("country_name", "country", "countryName"), ("city_name", "city", "cityName")):
        text = text_of(mapping_of(told.get(key)).get(inner))
        if text:
            found[name] = text
    code = text_of(mapping_of(told.get("country")).get("countryCode"))
    if code:
        found["country_iso_code"] = code
    place = mapping_of(told.get("geoLocation"))
    lat, lon = place.get("lat"), place.get("lon")
    if _within(lat, 90) and _within(lon, 180):
        found["location"] = {"lat": lat, "lon": lon}
    return found


def _within(value: Any, most: int) -> bool:
    return value.__class__ in (int, float) and -most <= value <= most
