"""The wire of the double: AMQP 1.0 over a plain connection, as azure-eventhub speaks it to Event Hubs.

Served: SASL ANONYMOUS, `$cbs` (put-token), `$management` (READ of hub and partition), receivers of a partition with
filters and epochs, senders of a hub or a partition. A connection string reaches it with `UseDevelopmentEmulator=true`.
Not served: TLS, WebSockets, transactions, schema registry, capture.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.event_hubs import frames
from tests.doubles.event_hubs.frames import Frame
from tests.doubles.event_hubs.hub import Hub
from tests.doubles.event_hubs.links import Link, Receiving, Replying, Requesting, Sending, addressed

_SASL_HEADER = b"AMQP\x03\x01\x00\x00"
_AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
_FRAME_BYTES = 64 * 1024
_IDLE_MS = 240_000


@dataclass(slots=True)
class Server:
    """A namespace with one event hub.

    Attributes:
        port: Where it listens.
    """

    hub: Hub
    port: int = 0
    _server: asyncio.Server | None = None
    _connections: set[Connection] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.drop_connections()
        await self._server.wait_closed()

    def drop_connections(self) -> None:
        """Cut every connection, as a network does."""
        for connection in tuple(self._connections):
            connection.cut()

    @property
    def connection_string(self) -> str:
        """What reaches it."""
        where = f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName=listen;SharedAccessKey=c2VjcmV0"
        return f"{where};UseDevelopmentEmulator=true"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self.hub, reader, writer)
        self._connections.add(connection)
        try:
            await connection.run()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is gone
        finally:
            self._connections.discard(connection)
            connection.gone()
            writer.close()


class Connection:
    """One connection, its sessions and links."""

    def __init__(self, hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hub = hub
        self.frame_bytes = _FRAME_BYTES
        self._reader = reader
        self._writer = writer
        self._links: dict[tuple[int, int], Link] = {}
        self.delivery = 0

    def write(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    def cut(self) -> None:
        self._writer.transport.abort()

    def gone(self) -> None:
        """Nothing of this connection is attached any longer."""
        for link in tuple(self._links.values()):
            link.gone()
        self._links.clear()

    def forget(self, link: Link) -> None:
        self._links.pop((link.channel, link.handle), None)

    def replies(self, channel: int, address: str) -> Replying | None:
        """The link of a session that gives answers from an address."""
        found = (link for (where, _), link in self._links.items() if where == channel)
        return next((link for link in found if isinstance(link, Replying) and link.address == address), None)

    async def run(self) -> None:
        """Serve until the client closes."""
        await self._greet()
        while True:
            size, offset, _, channel = struct.unpack(">IBBH", await self._reader.readexactly(8))
            body = (await self._reader.readexactly(size - 8))[(offset - 2) * 4 :]
            if not body:
                self.write(struct.pack(">IBBH", 8, 2, 0, 0))  # an empty frame keeps the connection alive
            elif not self._take(frames.read(channel, body)):
                await self._writer.drain()
                return
            await self._writer.drain()

    async def _greet(self) -> None:
        assert await self._reader.readexactly(8) == _SASL_HEADER
        self.write(_SASL_HEADER + frames.mechanisms())
        size = struct.unpack(">I", await self._reader.readexactly(4))[0]
        await self._reader.readexactly(size - 4)
        self.write(frames.sasl_outcome())
        assert await self._reader.readexactly(8) == _AMQP_HEADER
        self.write(_AMQP_HEADER)

    def _take(self, frame: Frame) -> bool:
        """One frame; whether the connection goes on."""
        if frame.code == frames.OPEN:
            self.frame_bytes = min(_FRAME_BYTES, frame.field(2) or _FRAME_BYTES)
            self.write(frames.open_(_FRAME_BYTES, _IDLE_MS))
        elif frame.code == frames.BEGIN:
            self.write(frames.begin(frame.channel))
        elif frame.code == frames.ATTACH:
            self._attach(frame)
        elif frame.code in (frames.FLOW, frames.TRANSFER, frames.DETACH):
            self._to_link(frame)
        elif frame.code == frames.END:
            for link in [link for (channel, _), link in self._links.items() if channel == frame.channel]:
                link.gone()
                self.forget(link)
            self.write(frames.frame(frames.END, [frames.NULL], channel=frame.channel))
        elif frame.code == frames.CLOSE:
            self.write(frames.frame(frames.CLOSE, [frames.NULL]))
            return False
        return True

    def _to_link(self, frame: Frame) -> None:
        handle = frame.field(4 if frame.code == frames.FLOW else 0)
        link = self._links.get((frame.channel, handle))
        if link is None:
            return
        if frame.code == frames.DETACH:
            link.gone()
            self.forget(link)
            self.write(frames.detach(frame.channel, handle))
        else:
            link.take(frame)

    def _attach(self, frame: Frame) -> None:
        receives = bool(frame.field(2))
        address = addressed(frame.field(5 if receives else 6))
        link: Link
        if address in ("$cbs", "$management"):
            link = Replying(self, frame, address) if receives else Requesting(self, frame, address)
        else:
            link = Receiving(self, frame, address) if receives else Sending(self, frame, address)
        refusal = link.refusal()
        self.write(frames.attach(frame, refused=refusal is not None))
        if refusal is not None:
            self.write(frames.detach(frame.channel, link.handle, frames.error(*refusal)))
            return
        self._links[frame.channel, link.handle] = link
        link.opened()


@contextlib.asynccontextmanager
async def serving(hub: Hub) -> AsyncIterator[Server]:
    """A namespace with this hub, on a free port."""
    server = Server(hub)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def records(*events: dict[str, Any]) -> bytes:
    """An event as diagnostic settings send it."""
    return json.dumps({"records": events}, separators=(",", ":")).encode()
