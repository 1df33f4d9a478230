"""Which port an engine listens on: the one it had, the one people expect, or any that is free."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"
CONNECT_TIMEOUT_S = 1.0


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections on this loopback port; unlike `is_free`, it never takes the port itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        return probe.connect_ex((LOOPBACK, port)) == 0


def any_free() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def choose(*candidates: int | None) -> int:
    """The first candidate that is free, else any free port."""
    return next((port for port in candidates if port is not None and is_free(port)), None) or any_free()
