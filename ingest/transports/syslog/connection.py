"""One sender's connection: bytes are read only as fast as they are asked for."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_NAME = 100
_HELD_BYTES = 256 * 1024  # read ahead of need; beyond them TCP makes the sender wait


class Connection(asyncio.Protocol):
    """Holds what arrived until it is read.

    Args:
        on_made: Called once it stands.

    Attributes:
        peer: The sender's address.
        certified: The common name of the sender's certificate, of letters, digits, `.`, `_`, `-`; empty without one.
    """

    def __init__(self, on_made: Callable[[Connection], None]) -> None:
        self._on_made = on_made
        self._transport: asyncio.Transport | None = None
        self._held = bytearray()
        self._arrived = asyncio.Event()
        self._ended = False
        self._over = False
        self._error: Exception | None = None
        self.peer = "unknown"
        self.certified = ""

    async def read(self) -> bytes:
        """What arrived; empty once nothing more will.

        Raises:
            OSError: The connection broke.
        """
        while not (self._held or self._ended):
            self._arrived.clear()
            await self._arrived.wait()
        if not self._held and self._error is not None:
            raise self._error
        data = bytes(self._held)
        self._held.clear()
        if self._transport and not self._ended:
            self._transport.resume_reading()
        return data

    def say_end(self) -> None:
        """Let the sender see that we go, and go on reading what it wrote before it saw that.

        This closes our half of the TCP connection. A close of TLS would be politer, but what arrives after it is lost.
        """
        self._over = True
        found: socket.socket | None = self._transport.get_extra_info("socket") if self._transport else None
        if found is not None:
            with contextlib.suppress(OSError):  # it is gone already
                found.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        """Read nothing more from the sender; what is held can still be read."""
        self._ended = True
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()
        self._arrived.set()

    def close(self) -> None:
        """Say good-bye."""
        self._ended = True
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        found: socket.socket | None = transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a sender that vanished is noticed
        self.peer = str((transport.get_extra_info("peername") or (self.peer,))[0])
        self.certified = _common_name(transport.get_extra_info("peercert") or {})
        self._on_made(self)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._held += data
        if len(self._held) >= _HELD_BYTES and self._transport:
            self._transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> None:
        """See `asyncio.Protocol`."""
        self._ended = self._over = True
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._ended = True
        if not (self._over and isinstance(exc, BrokenPipeError)):  # one side closed before: what it said is complete
            self._error = exc
        self._arrived.set()


def _common_name(certificate: Mapping[str, Any]) -> str:
    names = [pair for part in certificate.get("subject", ()) for pair in part]
    name = next((str(value) for key, value in names if key == "commonName"), "")
    return _UNUSUAL.sub("-", name)[:_LONGEST_NAME]
