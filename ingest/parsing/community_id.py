"""Community ID version 1: one id of a flow, the same from every tool and for both directions.

https://github.com/corelight/community-id-spec
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress

from ingest.parsing.ip_protocols import SCTP, TCP, UDP

_WITH_PORTS = frozenset({TCP, UDP, SCTP})
_HIGHEST_PORT, _HIGHEST_PROTOCOL = 0xFFFF, 0xFF
_SEED = b"\x00\x00"


def community_id(
    source: str, destination: str, protocol: int, source_port: int | None, destination_port: int | None
) -> str | None:
    """The id of a flow.

    Args:
        source: Address; of the same family as `destination`.
        destination: Address.
        protocol: IANA number.
        source_port: Needed for TCP, UDP and SCTP.
        destination_port: As `source_port`.

    Returns:
        None where it can't be made: a port is missing, families differ, and for ICMP, whose id is made of the type and
        code of the message, which flow logs do not hold.
    """
    first, second = ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed
    if len(first) != len(second) or not 0 <= protocol <= _HIGHEST_PROTOCOL or protocol in (1, 58):
        return None
    ports = b""
    if protocol in _WITH_PORTS:
        if source_port is None or destination_port is None:
            return None
        if not (0 <= source_port <= _HIGHEST_PORT and 0 <= destination_port <= _HIGHEST_PORT):
            return None
        if (second, destination_port) < (first, source_port):
            first, second, source_port, destination_port = second, first, destination_port, source_port
        ports = source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    elif second < first:
        first, second = second, first
    digest = hashlib.sha1(_SEED + first + second + bytes((protocol, 0)) + ports, usedforsecurity=False).digest()
    return "1:" + base64.b64encode(digest).decode()
