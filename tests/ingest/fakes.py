"""Stand-ins for what lies around a collector, with faults to inject."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from ingest.backoff import Backoff
from ingest.formats.contract import Document, Format, LogSource, Reading, View
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.envelope import Envelope, Origin, Position
from ingest.schema.errors import BrokerUnavailable, MalformedBody, SkytrailError
from ingest.transports.contract import Place

T = TypeVar("T")
Fault = Literal["lost", "applied", "slow"]
NOW = dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC)
EAGER = Backoff(first_s=0.001, cap_s=0.005, alarm_after_s=60)


class MemoryPublisher:
    """`faults` breaks the calls to come, one each: "lost" before anything is kept, "applied" after, "slow" waits.

    `away` breaks every call until it is cleared, like brokers that are down.
    """

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.faults = list(faults)
        self.away = False
        self.envelopes: list[Envelope] = []
        self.letters: list[DeadLetter] = []
        self.calls = 0
        self.closed = False

    @property
    def records(self) -> list[bytes]:
        """Every record kept, in order."""
        return [record for each in self.envelopes for record in each.records]

    async def publish(self, envelopes: Sequence[Envelope]) -> list[Position]:
        return await self._keep(self.envelopes, envelopes, "raw")

    async def publish_dead_letters(self, letters: Sequence[DeadLetter]) -> list[Position]:
        return await self._keep(self.letters, letters, "dead")

    async def close(self) -> None:
        self.closed = True

    async def _keep(self, kept: list[T], items: Sequence[T], topic: str) -> list[Position]:
        self.calls += 1
        await asyncio.sleep(0)
        fault = self.faults.pop(0) if self.faults else None
        if fault == "slow":
            await asyncio.sleep(0.05)
        if self.away or fault == "lost":
            raise BrokerUnavailable("publishing: injected fault, lost")
        first = len(kept)
        kept.extend(items)
        if fault == "applied":
            raise BrokerUnavailable("publishing: injected fault, applied")
        return [Position(topic, 0, first + number) for number in range(len(items))]


@dataclass
class LineReading:
    """What a line says."""

    record: bytes
    shown: bytes

    def identify(self) -> str | None:
        return None if self.record else ""

    def view(self) -> View:
        return View({"line": self.record})

    def normalise(self) -> Document:
        return {"line": self.record}


@dataclass
class LineFormat(Format):
    """A record a line; a line `!` can't be split."""

    name: str = "test.lines"
    dataset: str = "test.lines"
    version: str = "7"
    log_source: LogSource = LogSource("test")  # noqa: RUF009 - frozen
    fields: tuple[()] = ()
    aliases: dict[str, str] = field(default_factory=dict)

    def split(self, body: bytes) -> Iterator[bytes]:
        for line in body.split(b"\n"):
            if line == b"!":
                raise MalformedBody("splitting lines: a line is !")
            if line == b"bug":
                raise ZeroDivisionError("a fault in the format")
            if line.strip():
                yield line

    def read(self, record: bytes) -> Reading:
        return LineReading(record, record)

    def recognise(self, sample: bytes) -> bool:
        return not sample


class _EventList(msgspec.Struct):
    items: list[msgspec.Raw]


class EventListFormat(LineFormat):
    """The items of a JSON document's `items`."""

    def split(self, body: bytes) -> Iterator[bytes]:
        try:
            yield from map(bytes, msgspec.json.decode(body, type=_EventList).items)
        except msgspec.MsgspecError as exc:
            raise MalformedBody(f"splitting list: {exc}") from exc


@dataclass(eq=False)
class MemoryDelivery:
    """Remembers how it was settled."""

    body: bytes
    origin: Origin
    received_at: dt.datetime = NOW
    source: str = ""
    settled: list[str] = field(default_factory=list)

    async def acknowledge(self) -> None:
        self.settled.append("acknowledged")

    async def reject(self, reason: str, *, retry: bool) -> None:
        assert reason
        self.settled.append(f"rejected {retry}")


class MemoryTransport:
    """Delivers bodies from memory, then ends, or with `endless` waits until it is closed."""

    def __init__(self, *bodies: bytes, endless: bool = False) -> None:
        self.given = [
            MemoryDelivery(body, Origin(transport="memory", locator=f"body-{number}"))
            for number, body in enumerate(bodies)
        ]
        self.pulled = 0
        self.closed = False
        self._endless = endless

    async def deliveries(self) -> AsyncIterator[MemoryDelivery]:
        for delivery in self.given:
            self.pulled += 1
            yield delivery
        if self._endless:
            await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed = True


@dataclass
class Told:
    """A place in a temporary directory, and what it was warned of."""

    directory: Path
    warnings: list[SkytrailError] = field(default_factory=list)
    limit: int = 256 * 1024 * 1024

    @property
    def place(self) -> Place:
        return Place("mine", self.directory, self.warnings.append, lambda: NOW, self.limit)


async def until(condition: object, timeout_s: float = 60.0) -> None:
    """Wait until a callable is true.

    Raises:
        TimeoutError: It never was.
    """
    assert callable(condition)
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for does not tell
            await asyncio.sleep(0.005)
