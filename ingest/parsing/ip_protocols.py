"""Names of IP protocols, as ECS writes `network.transport`, and the ports that a flow id needs.

https://www.iana.org/assignments/protocol-numbers/protocol-numbers.xhtml
"""

from __future__ import annotations

ICMP, TCP, UDP, ICMP_V6, SCTP = 1, 6, 17, 58, 132

_NAMES = {
    ICMP: "icmp",
    2: "igmp",
    4: "ipv4",
    TCP: "tcp",
    8: "egp",
    UDP: "udp",
    27: "rdp",
    33: "dccp",
    41: "ipv6",
    46: "rsvp",
    47: "gre",
    50: "esp",
    51: "ah",
    ICMP_V6: "ipv6-icmp",
    88: "eigrp",
    89: "ospfigp",
    94: "ipip",
    103: "pim",
    108: "ipcomp",
    112: "vrrp",
    115: "l2tp",
    SCTP: "sctp",
    136: "udplite",
    137: "mpls-in-ip",
}


def transport_name(number: int) -> str | None:
    """The name of a protocol in lower case; None for one that nobody uses."""
    return _NAMES.get(number)
