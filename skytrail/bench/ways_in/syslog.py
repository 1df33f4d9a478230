"""The receiver of syslog over TLS, beside a bare asyncio server that takes frames and headers apart.

The bare server keeps nothing: syslog has no acknowledgement. The transport writes each body to its fsynced spool and
reads it from there. A message is an event with its line feed, counted in octets, on one connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from ingest.schema.errors import EngineError
from ingest.transports.contract import Place, Transport
from ingest.transports.syslog.settings import SyslogSettings
from ingest.transports.syslog.transport import open_transport
from skytrail.bench.collecting import Load
from skytrail.loopback_certificate import write_certificate

_HEADER = b"<134>1 2026-11-22T00:00:00Z bench audit - - - "
_PARTS = 8  # of a message of RFC 5424 without structured data
_LONGEST = 1024 * 1024


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Sent]:
    """Messages in a file, which another process sends."""
    with tempfile.TemporaryDirectory() as folder:
        sent = Sent(Path(folder), load)
        try:
            yield sent
        finally:
            await sent.end()


class Sent:
    """See `Source`."""

    sdk = "asyncio streams"

    def __init__(self, directory: Path, load: Load) -> None:
        self._certificate_file, self._key_file = write_certificate(directory, dt.datetime.now(dt.UTC))
        self._messages = directory / "messages"
        self._messages.write_bytes(b"".join(b"%d %b%b" % (len(_HEADER) + len(m), _HEADER, m) for m in load.lines))
        self.size = load.size
        self._sender: asyncio.subprocess.Process | None = None

    async def fill(self) -> None:
        """Let the last sender end; the next one starts when there is somebody to send to."""
        await self.end()

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        settings = SyslogSettings(
            port=0, certificate_file=self._certificate_file, key_file=self._key_file, client_certificates="none"
        )
        receiver = await open_transport(settings, place)
        await self._send(receiver.port)
        return receiver

    async def alone(self) -> int:
        """See `Source.alone`."""
        taken = 0
        all_taken = asyncio.Event()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal taken
            with contextlib.suppress(asyncio.IncompleteReadError):  # the end
                while length := await reader.readuntil(b" "):
                    parts = (await reader.readexactly(int(length))).split(b" ", _PARTS - 1)
                    taken += len(parts[-1])
            writer.close()
            all_taken.set()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate_file, self._key_file)
        server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context, limit=_LONGEST)
        async with server:
            await self._send(server.sockets[0].getsockname()[1])
            await all_taken.wait()
        return taken

    async def end(self) -> None:
        """Wait for the sender.

        Raises:
            EngineError: It ended badly.
        """
        sender, self._sender = self._sender, None
        if sender is not None and await sender.wait():
            raise EngineError("measuring: the process that sends ended badly")

    async def _send(self, port: int) -> None:
        command = ("-m", "skytrail.bench.syslog_sending", str(port), str(self._certificate_file), str(self._messages))
        self._sender = await asyncio.create_subprocess_exec(sys.executable, *command)
