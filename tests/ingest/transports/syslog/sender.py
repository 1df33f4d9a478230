"""A receiver in its directory, and senders over real TLS."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from ingest.transports.syslog.settings import SyslogSettings
from ingest.transports.syslog.transport import SyslogReceiver
from tests.ingest.fakes import Told
from tests.ingest.transports.authority import Authority
from tests.ingest.transports.contract import Harness

HEADER = b"<110>1 2026-11-22T08:00:00.123456Z gate-1 audit 4711 ID47 - "


def counted(body: bytes, header: bytes = HEADER) -> bytes:
    """A message in octet counting."""
    return b"%d %b%b" % (len(header) + len(body), header, body)


@dataclass
class Senders(Harness):
    """Sends over a connection of its own each time."""

    directory: Path
    options: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.authority = Authority(self.directory, "ours")
        self.certificate = self.authority.issue("endpoint")
        self.client = self.authority.issue("gate 1")
        self.told = Told(self.directory)
        self.receiver: SyslogReceiver | None = None

    def settings(self, **changes: object) -> SyslogSettings:
        values: dict[str, object] = {
            "port": 0,
            "certificate_file": self.certificate[0],
            "key_file": self.certificate[1],
            "client_ca_file": self.authority.file,
        }
        return SyslogSettings.model_validate(values | self.options | changes)

    async def open(self, **changes: object) -> SyslogReceiver:
        self.receiver = SyslogReceiver(self.settings(**changes), self.told.place)
        await self.receiver.start()
        return self.receiver

    async def connect(
        self, client: tuple[Path, Path] | None = None, *, tls: bool = True
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self.receiver
        context = self.authority.trusting(client or self.client) if tls else None
        return await asyncio.open_connection("127.0.0.1", self.receiver.port, ssl=context)

    async def write(self, data: bytes, *, tls: bool = True) -> None:
        """Send bytes and hang up."""
        _, writer = await self.connect(tls=tls)
        writer.write(data)
        await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def send(self, bodies: list[bytes]) -> None:
        await self.write(b"".join(map(counted, bodies)))
