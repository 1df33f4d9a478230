"""Senders of syslog over TLS, who learn nothing but whether their connection still stands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import ssl
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.spool import Spool
from ingest.transports.spooled import decode
from ingest.transports.syslog.delivery import Received
from skytrail.local.ports import any_free
from tests.faults.aws_ways import trail
from tests.faults.killing import REPEATED
from tests.faults.material import CLOUDTRAIL
from tests.faults.oracle import documents
from tests.faults.road import Road
from tests.ingest.transports.authority import Authority

SENDERS = 3
_CUTS = 2  # connections of each sender that break during the trouble
_PAUSE_S = 0.05
_LOOK_S = 0.4  # between looks into Elasticsearch, which has other work to do
_HEADER = b"<110>1 2026-11-22T08:00:00.123456Z gate-1 audit 4711 ID47 - "


@dataclass(slots=True)
class Sender:
    """One sender; what waits is written as soon as a connection stands.

    Attributes:
        repeats: After a connection that broke it writes again all that it wrote to it.
        written: Ids of the messages that each connection was given, in their order.
        cuts: Connections that it still is to break, in the middle of a message.
        closed: Ids of the messages of the connection that it closed itself at the end; None before.
    """

    port: int
    tls: ssl.SSLContext
    repeats: bool
    waiting: deque[tuple[str, bytes]] = field(default_factory=deque)
    written: list[list[str]] = field(default_factory=list)
    cuts: int = 0
    closed: list[str] | None = None
    _finishing: bool = False

    async def run(self) -> None:
        """Write until told to finish."""
        while self.closed is None:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
            except OSError:
                await asyncio.sleep(_PAUSE_S)
                continue
            messages: list[tuple[str, bytes]] = []
            self.written.append([])
            try:
                stands = await self._write(reader, writer, messages)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            if stands:
                self.closed = self.written[-1]
            elif self.repeats:
                self.waiting.extendleft(reversed(messages))

    def finish(self) -> None:
        """Close the connection once nothing waits."""
        self._finishing = True

    async def _write(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, messages: list[tuple[str, bytes]]
    ) -> bool:
        """Write what waits; false when the connection broke."""
        ended = asyncio.create_task(reader.read(1))
        try:
            while not ended.done():
                if not self.waiting:
                    if self._finishing:
                        return True
                    await asyncio.sleep(_PAUSE_S)
                    continue
                messages.append(self.waiting.popleft())
                self.written[-1].append(messages[-1][0])
                message = messages[-1][1]
                if self.cuts:
                    self.cuts -= 1
                    writer.write(message[: len(message) // 2])
                    await asyncio.sleep(_PAUSE_S)
                    writer.transport.abort()
                    return False
                writer.write(message)
                await writer.drain()
                await asyncio.sleep(0)  # drain alone lets nothing else run: the end of the connection would be missed
        except OSError:
            return False
        else:
            return False
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)


class SyslogWay:
    """Senders, each with a connection of its own.

    Args:
        namespace: Of the collector, to see what became of the messages.
        spool: Of the collector.
    """

    transport = "syslog"
    format = CLOUDTRAIL

    def __init__(self, road: Road, namespace: str, spool: Path, *, repeats: bool) -> None:
        authority = Authority(road.directory, namespace)
        self._authority = authority
        self._certificate, self._key = authority.issue(f"{namespace}-receiver")
        self._port = any_free()
        tls = authority.trusting(authority.issue(f"{namespace}-gate"))
        self.senders = [Sender(self._port, tls, repeats) for _ in range(SENDERS)]
        self._repeats = repeats
        self._road = road
        self._namespace = namespace
        self._spool = spool
        self._put: set[str] = set()

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncIterator[SyslogWay]:
        """Write what is put, until the block ends."""
        tasks = [asyncio.create_task(sender.run()) for sender in self.senders]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def records(self, rng: random.Random, count: int) -> dict[str, bytes]:
        return trail(rng, count)

    def settings(self, _directory: Path) -> dict[str, Any]:
        return {
            "port": self._port,
            "certificate_file": str(self._certificate),
            "key_file": str(self._key),
            "client_ca_file": str(self._authority.file),
            "batch_messages": 5,
        }

    async def put(self, number: int, records: Sequence[bytes]) -> None:
        twice = self._repeats and number % REPEATED == 0
        for record in [*records, *(records if twice else ())]:
            own = json.loads(record)["eventID"]
            self._put.add(own)
            frame = b"%d %b%b" % (len(_HEADER) + len(record), _HEADER, record)
            self.senders[number % SENDERS].waiting.append((own, frame))

    async def left(self) -> int:
        """Messages that are not in Elasticsearch."""
        return len(self._put - await self.indexed())

    async def unkept(self) -> int:
        """Messages that are neither in Elasticsearch nor in the spool."""
        return len(self._put - await self.indexed() - await self.spooled())

    async def indexed(self) -> set[str]:
        """Ids of the messages in Elasticsearch."""
        await asyncio.sleep(_LOOK_S)
        return {each["_source"]["skytrail"]["uid"] for each in await documents(self._road, self._namespace)}

    async def spooled(self) -> set[str]:
        """Ids of the messages that the spool would give to the next collector, if this one died now."""
        found: set[str] = set()
        with tempfile.TemporaryDirectory() as directory:
            await asyncio.to_thread(_copied, self._spool, Path(directory))
            spool = Spool(Path(directory), 2**40)
            while taken := await spool.take():
                ticket, payload = taken
                lines = decode(payload, Received, ticket).body.splitlines()
                found.update(json.loads(line)["eventID"] for line in lines)
            await spool.close()
        return found

    def trouble(self) -> None:
        for sender in self.senders:
            sender.cuts = _CUTS


def _copied(spool: Path, to: Path) -> None:
    """Copy a spool that may be in use: first how far it is, for its segments go only after that is noted."""
    for path in [*spool.glob("position.json"), *sorted(spool.glob("*.spool"))]:
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(path, to)
