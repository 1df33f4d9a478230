"""Syslog over TLS: the MSG part of each message is the body of an event.

Messages: RFC 5424; what is none stays whole. Framed by octet counting (RFC 5425 §4.3) or line feeds (RFC 6587 §3.4.2).
          https://www.rfc-editor.org/rfc/rfc5424  https://www.rfc-editor.org/rfc/rfc5425
Bodies:   MSG parts that are a line of JSON each and arrive together travel as one body, whose origin names the first.
          Priority, process, message id and structured data are not kept.
Delivery: Syslog has no acknowledgement: a sender believes that what it wrote to the connection has arrived. Everything
          that is read goes into an fsynced spool first and survives a crash from there on, at least once. What lies
          between is lost when either side dies: the sender's buffers, the network, what was read and not yet spooled.
Pressure: While the spool is full nothing is read, so TCP makes the senders wait.
Stop:     Senders are told; what they wrote before they noticed is read for two seconds and spooled.
Order:    Of each connection.
Tests:    tests/ingest/transports/syslog/
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from ingest.backoff import Backoff
from ingest.schema.errors import ConfigError, MalformedBody, SourceUnavailable
from ingest.spool import Spool, Ticket
from ingest.transports.contract import Place
from ingest.transports.leftover import Leftover, leftover_in
from ingest.transports.messages.runs import cut_runs, joined
from ingest.transports.spooled import damage, decode, encode
from ingest.transports.syslog.access import context_of
from ingest.transports.syslog.connection import Connection
from ingest.transports.syslog.delivery import Received, SyslogDelivery
from ingest.transports.syslog.framing import Framing, LineFeed, OctetCounting
from ingest.transports.syslog.message import read
from ingest.transports.syslog.settings import SyslogSettings

_NAME = "syslog"
_HANDSHAKE_S = 10.0
_GOODBYE_S = 5.0
_LAST_WORDS_S = 2.0  # for senders to notice that we go
_CLOSE_GRACE_S = 10.0
_TELL_AFTER_S = 5.0
_CHECK = "check the disk; what was cut was read from a sender, which does not send it again"


async def open_transport(settings: SyslogSettings, place: Place) -> SyslogReceiver:
    """Listen, with the spool of this collector.

    Raises:
        ConfigError: Unsafe or wrong settings, a port in use, a spool that another process has.
    """
    receiver = SyslogReceiver(settings, place)
    await receiver.start()
    return receiver


def open_leftover(settings: SyslogSettings, place: Place) -> Leftover | None:
    """What its spool holds, without listening.

    Raises:
        ConfigError: Another process has the spool.
    """

    def delivery(payload: bytes, ticket: Ticket, spool: Spool) -> SyslogDelivery:
        received = decode(payload, Received, ticket)
        return SyslogDelivery(received, ticket, spool, transport=_NAME, on_returned=lambda: None, warn=place.warn)

    return leftover_in(_directory(settings, place), settings.spool_max_bytes, delivery)


def _directory(settings: SyslogSettings, place: Place) -> Path:
    return settings.spool_dir or place.state_dir / "spool" / place.name


class SyslogReceiver:
    """Listens for senders.

    Args:
        backoff: Waiting for room in the spool.

    Attributes:
        port: Where it listens, once started.

    Raises:
        ConfigError: Unsafe or wrong settings.
    """

    def __init__(self, settings: SyslogSettings, place: Place, backoff: Backoff | None = None) -> None:
        self._settings = settings
        self._place = place
        self._tls = context_of(settings)
        told = Backoff(cap_s=1.0, alarm_after_s=_TELL_AFTER_S, on_alarm=lambda error, _seconds: place.warn(error))
        self._backoff = backoff or told
        self._spool: Spool | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self.port = settings.port

    async def start(self) -> None:
        """Open the spool and listen.

        Raises:
            ConfigError: A port in use, a spool that another process has.
        """
        directory = _directory(self._settings, self._place)
        self._spool = await asyncio.to_thread(Spool, directory, self._settings.spool_max_bytes)
        if broken := damage(self._spool, directory, torn=_CHECK, damaged=_CHECK):
            self._place.warn(broken)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self._connected),
                self._settings.host,
                self._settings.port,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_S if self._tls else None,
                ssl_shutdown_timeout=_GOODBYE_S if self._tls else None,
            )
        except OSError as exc:
            await self.close()
            where = f"host {self._settings.host}, port {self._settings.port}"
            mend = "choose another port or end what listens there"
            raise ConfigError(f"listening: {exc.strerror or exc}", where=where, mend=mend) from exc
        self.port = self._server.sockets[0].getsockname()[1]

    async def deliveries(self) -> AsyncIterator[SyslogDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        while not self._closing:
            self._wake.clear()
            delivery = await self._from_spool()
            if delivery is not None:
                yield delivery
            else:
                await self._wake.wait()

    async def close(self) -> None:
        """See `Transport.close`: what was read goes to the spool, and what is not acknowledged stays there."""
        self._closing = True
        server, self._server = self._server, None
        if server is not None:
            server.close()
        tasks = set(self._connections.values())
        for connection in tuple(self._connections):
            connection.say_end()
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_WORDS_S)
            for connection in tuple(self._connections):
                connection.end()
            _, late = await asyncio.wait(tasks, timeout=_CLOSE_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if server is not None:
            await server.wait_closed()
        spool, self._spool = self._spool, None
        if spool is not None:
            await spool.close()
        self._wake.set()

    @property
    def spooled(self) -> int:
        """Bodies that are not acknowledged yet."""
        return self._spool.pending if self._spool else 0

    def _connected(self, connection: Connection) -> None:
        if self._closing or len(self._connections) >= self._settings.max_connections:
            if not self._closing:
                what = f"accepting connection: there are {len(self._connections)} already"
                mend = "raise max_connections, or find out who holds them"
                self._place.warn(SourceUnavailable(what, where=connection.peer, mend=mend))
            connection.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._connections[connection] = task
        task.add_done_callback(lambda _task: self._connections.pop(connection, None))

    async def _serve(self, connection: Connection) -> None:
        kind = OctetCounting if self._settings.framing == "octet_counting" else LineFeed
        framing = kind(self._settings.max_message_bytes)
        try:
            while not framing.broken and (data := await connection.read()):
                await self._keep(connection, framing.feed(data))
                self._tell(connection, framing)
            last, unfinished = framing.end()
            await self._keep(connection, last)
            self._tell(connection, framing)
            if unfinished and not framing.broken:
                self._warn(connection, f"the connection ended within a message, {unfinished} bytes of it had come")
        except OSError as exc:
            self._warn(connection, f"the connection broke: {exc}")
        finally:
            connection.close()

    async def _keep(self, connection: Connection, frames: Sequence[bytes]) -> None:
        """Put messages into the spool; while it is full, that waits, and nothing is read meanwhile."""
        # A message without MSG says nothing but its header.
        messages = [message for message in map(read, frames) if message.body]
        bodies = [message.body for message in messages]
        done = 0
        try:
            for cut in cut_runs(bodies, self._settings.batch_messages, self._settings.batch_bytes):
                more = f"+{len(bodies[cut]) - 1}" if len(bodies[cut]) > 1 else ""
                locator = f"{connection.peer}/{messages[cut.start].sender or 'unknown'}{more}"
                received = Received(connection.certified, locator, self._place.clock(), joined(bodies[cut]))
                await self._backoff.forever(functools.partial(self._append, encode(received)))
                done = cut.stop
        finally:
            if done < len(bodies):
                self._warn(connection, f"{len(bodies) - done} messages were read and could not be kept")

    async def _append(self, payload: bytes) -> None:
        assert self._spool is not None
        await self._spool.append(payload)
        self._wake.set()

    async def _from_spool(self) -> SyslogDelivery | None:
        spool = self._spool
        found = await spool.take() if spool and spool.pending else None
        if spool is None or found is None:
            return None
        ticket, payload = found
        return SyslogDelivery(
            decode(payload, Received, ticket),
            ticket,
            spool,
            transport=_NAME,
            on_returned=self._wake.set,
            warn=self._place.warn,
        )

    def _tell(self, connection: Connection, framing: Framing) -> None:
        for length in framing.oversized:
            limit = self._settings.max_message_bytes
            self._warn(connection, f"a message of {length} bytes was left out, the limit is {limit}")
        framing.oversized.clear()
        if framing.broken:
            self._warn(connection, f"{framing.broken}; the connection is ended")

    def _warn(self, connection: Connection, what: str) -> None:
        mend = "syslog sends nothing twice: look at the sender, and at framing and max_message_bytes of this collector"
        where = f"{connection.peer} {connection.certified}".strip()
        self._place.warn(MalformedBody(f"receiving syslog: {what}", where=where, mend=mend))
