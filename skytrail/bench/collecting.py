"""What a transport costs beside its SDK alone, in turns.

Both take the same bodies from the same server and acknowledge them; a transport adds order, progress, retries and
bounds. Measured is the processor time of this process, from opening to closing: servers and senders are processes of
their own, and none of them is as fast as the real one, so the time that passes would judge them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import gc
import importlib
import pkgutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from ingest.schema.errors import ConfigError, EngineError, SkytrailError
from ingest.settings import KafkaSettings
from ingest.transports.contract import Place, Transport
from skytrail.bench import ways_in

Tell = Callable[[str, int, int], None]
"""Transport, rounds done, rounds in all."""


@dataclass(frozen=True, slots=True)
class Load:
    """What every source brings.

    Attributes:
        lines: Records with their line feed.
        per_body: Records of a body, where the source's bodies have several.
        kafka: Brokers for sources that need them; None: there are none.
    """

    lines: Sequence[bytes]
    per_body: int
    kafka: KafkaSettings | None

    @property
    def size(self) -> int:
        """Bytes of all lines."""
        return sum(map(len, self.lines))

    def bodies(self) -> Iterator[bytes]:
        """Bodies of several lines."""
        for start in range(0, len(self.lines), self.per_body):
            yield b"".join(self.lines[start : start + self.per_body])


class Source(Protocol):
    """A source, and two ways to empty it.

    Attributes:
        sdk: What the transport stands on.
        size: Bytes that one filling brings.
    """

    sdk: str
    size: int

    async def fill(self) -> None:
        """Let the same bodies wait once more."""
        ...

    async def open(self, place: Place) -> Transport:
        """The transport, on what waits."""
        ...

    async def alone(self) -> int:
        """Take and acknowledge what waits with the SDK alone; bytes taken."""
        ...


class WayIn(Protocol):
    """What a file in `ways_in/` is; its name is that of the transport."""

    def opened(self, load: Load) -> AbstractAsyncContextManager[Source]:
        """The source, with its server.

        Raises:
            ConfigError: What it needs is not here.
        """
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One transport.

    Attributes:
        us_per_record: CPU time of the transport, microseconds, best round.
        sdk_us_per_record: That of the SDK alone.
        times_sdk: How many times the SDK's the transport's cost is: median of the rounds.
        records_per_s: Records a second and core, best round.
        skipped: Why it was not measured.
    """

    transport: str
    sdk: str = ""
    records: int = 0
    megabytes: float = 0.0
    us_per_record: float = 0.0
    sdk_us_per_record: float = 0.0
    times_sdk: float = 0.0
    records_per_s: int = 0
    sdk_records_per_s: int = 0
    skipped: str = ""


def ways() -> Mapping[str, WayIn]:
    """The files of `ways_in/` by the name of their transport."""
    names = [entry.name for entry in pkgutil.iter_modules(ways_in.__path__)]
    modules = {name: importlib.import_module(f"{ways_in.__name__}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "opened")}


async def measure(names: Sequence[str], load: Load, rounds: int, tell: Tell) -> list[Row]:
    """Measure transports, one after the other.

    Raises:
        ConfigError: There is no such way in.
        EngineError: Something else arrived than was sent.
    """
    known = ways()
    if unknown := sorted(set(names) - set(known)):
        raise ConfigError(
            f"choosing transports: {', '.join(unknown)} can't be measured", mend=f"use {', '.join(known)}"
        )
    rows = []
    for name in names:
        async with AsyncExitStack() as stack:
            try:
                source = await stack.enter_async_context(known[name].opened(load))
            except ConfigError as exc:
                rows.append(Row(name, skipped=f"{exc.what}: {exc.mend}"))
            else:
                rows.append(await _measured(name, source, load, rounds, tell))
    return rows


async def _measured(name: str, source: Source, load: Load, rounds: int, tell: Tell) -> Row:
    """Pairs of both contenders, each second one in reverse order; the first pair warms up and does not count."""
    best = {"transport": float("inf"), "alone": float("inf")}
    ratios = []
    runs: dict[str, Callable[[], Awaitable[int]]] = {"transport": lambda: _through(source), "alone": source.alone}
    for number in range(rounds + 1):
        tell(name, number, rounds + 1)
        took = {}
        for contender in list(runs) if number % 2 else reversed(list(runs)):
            await source.fill()
            gc.collect()
            began = time.process_time()
            taken = await runs[contender]()
            took[contender] = time.process_time() - began
            if taken != source.size:
                raise EngineError(f"measuring {name}: {contender} took {taken} bytes of {source.size}")
        if number:
            best = {contender: min(best[contender], seconds) for contender, seconds in took.items()}
            ratios.append(took["transport"] / took["alone"])
    tell(name, rounds + 1, rounds + 1)
    count = len(load.lines)
    return Row(
        name,
        source.sdk,
        count,
        round(load.size / 1e6, 1),
        round(best["transport"] / count * 1e6, 1),
        round(best["alone"] / count * 1e6, 1),
        round(median(ratios), 2),
        round(count / best["transport"]),
        round(count / best["alone"]),
    )


async def _through(source: Source) -> int:
    """What the transport brings, acknowledged body by body."""
    troubles: list[SkytrailError] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Place("bench", Path(folder), troubles.append, lambda: dt.datetime.now(dt.UTC))
        transport = await source.open(place)
        taken = 0
        try:
            async for delivery in transport.deliveries():
                taken += len(delivery.body)
                await delivery.acknowledge()
                if taken >= source.size:
                    break
        finally:
            await transport.close()
    if troubles:
        raise EngineError(f"measuring: the transport told of {troubles[0]}")
    return taken


def as_rows(found: Sequence[Row]) -> Iterator[dict[str, object]]:
    """Rows for a table."""
    return map(dataclasses.asdict, found)
