"""What a way in promises.

A transport is a folder `ingest/transports/<name>/` with `settings.py` and `transport.py` (`registry.py` says what they
hold); adding one edits no existing file. It collects bytes and knows no format. Every implementation passes
`tests/ingest/transports/contract.py`.

Promises:

* At least once: what is not acknowledged comes again after a restart. Nothing is acknowledged before the caller says
  so. Acknowledging twice is harmless.
* Bounded: a body is collected when the caller asks for the next one; back-pressure reaches the source (reading stops,
  HTTP 429). A source object that is too large for one body comes as several, in order, cut between records.
* A checkpoint never lies beyond an unacknowledged body.
* `close` ends `deliveries`; what is not acknowledged then is the source's again. No thread or task is left.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ingest.schema.envelope import Origin
from ingest.schema.errors import SkytrailError


class Delivery(Protocol):
    """One collected body and the duty to settle it."""

    @property
    def origin(self) -> Origin:
        """Where it came from; `first_ordinal` > 0 when it goes on where an earlier body of the same object ended."""
        ...

    @property
    def body(self) -> bytes:
        """The bytes as received: perhaps compressed, perhaps broken."""
        ...

    @property
    def received_at(self) -> dt.datetime:
        """When the body was collected (UTC)."""
        ...

    @property
    def source(self) -> str:
        """Which of several senders behind one transport sent it (a cluster's id); empty where there is one."""
        ...

    async def acknowledge(self) -> None:
        """Everything of this body is safe: the source may forget it. Harmless when repeated."""
        ...

    async def reject(self, reason: str, *, retry: bool) -> None:
        """Hand the body back. With `retry` it is delivered again, now or after a restart; without, it is given up."""
        ...


class Transport(Protocol):
    """A way in."""

    def deliveries(self) -> AsyncIterator[Delivery]:
        """The bodies, in the order of the source, until the source ends or `close` is called. Called once.

        A caller settles deliveries while it iterates: the iterator of a finite source ends only when all are settled.

        Raises:
            SourceRefused: Something could not be read for good (missing, not permitted). Raised after everything
                that could be read was delivered and settled, so that one bad file does not hide the others.
        """
        ...

    async def close(self) -> None:
        """Stop collecting, persist what was acknowledged, free everything. Harmless when repeated."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transport lives, and who hears of its worries.

    Attributes:
        name: Name of the collector, as in the settings.
        state_dir: Directory for checkpoints and spools.
        warn: Called with troubles that do not stop the transport (a file vanished, a spool's torn tail was cut).
        clock: The time of receipt (UTC).
        max_body_bytes: The most bytes of a body that can't be cut.
    """

    name: str
    state_dir: Path
    warn: Callable[[SkytrailError], None]
    clock: Callable[[], dt.datetime]
    max_body_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at the settings of a transport found.

    Attributes:
        state: `warn` works, and should be changed; `fail` does not work or is unsafe.
        found: In words.
        mend: What to do; empty when nothing is to be done.
        denied: Of a fail: we may not do what we must.
        secret_files: Files that nobody else should be able to read.
    """

    state: Literal["ok", "warn", "fail"]
    found: str
    mend: str = ""
    denied: bool = False
    secret_files: tuple[Path, ...] = ()
