"""Telling IP addresses from what stands where one is expected.

Providers write service names, words, addresses with ports, and addresses that only look like one. Only a real address
may reach an `ip` field: a single bad value there loses the document.
"""

from __future__ import annotations

import functools
import ipaddress
import re

_LONGEST = 64  # characters; a bracketed IPv6 address with a port has at most 53
_V4_AND_PORT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){3}):[0-9]{1,5}")
_V6_IN_BRACKETS = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](?::[0-9]{1,5})?")


@functools.lru_cache(maxsize=16_384)
def ip_of(text: str) -> str | None:
    """The address in `text` as `ipaddress` writes it, without a port; None when there is none.

    Refused: words, host names, CIDR blocks, IPv6 zone ids (`fe80::1%eth0` names an interface of the source), quads with
    leading zeros (`253.252.51.07` is octal to some readers), too many groups.
    Memoised: few addresses make most of a log.
    """
    stripped = text.strip() if len(text) <= _LONGEST else ""
    with_port = _V4_AND_PORT.fullmatch(stripped) or _V6_IN_BRACKETS.fullmatch(stripped)
    bare = with_port.group(1) if with_port else stripped
    if not bare or "%" in bare or not bare.isascii():
        return None
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(
        mapped or address
    )  # ::ffff:1.2.3.4 is the host 1.2.3.4, and Python versions spell the former differently
