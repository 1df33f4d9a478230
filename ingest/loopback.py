"""Which addresses are on this machine: only there may logs and passwords travel unencrypted."""

from __future__ import annotations

import ipaddress
import re

_HOST = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^:\[\]]+))(?::[0-9]+)?")


def is_loopback(host: str) -> bool:
    """Whether a host, without a port, is this machine whatever a name server says."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def at_loopback(address: str) -> bool:
    """The same of host:port, `[::1]:port` or a URL; a name that only begins like one of this machine is none."""
    authority = address.strip().partition("://")[2] or address.strip()
    authority = authority.partition("/")[0]
    found = _HOST.fullmatch(authority)
    return is_loopback((found["v6"] or found["host"]) if found else authority)
