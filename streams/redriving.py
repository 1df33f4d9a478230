"""Sends dead letters on their way again.

| letter of stage | what is published |
|---|---|
| index, detect | the record, in an envelope with the header it had: same origin, same time of receipt, same identity |
| collect | its body goes through the collector's own road again: inflate, split, envelopes, dead letters |
| anything without a header | nothing: it is not known what it is |

A record that is refused again becomes a new letter. A body whose first records were delivered before its fault gives
these again, as duplicates by id. Everything published counts as received once more. What is published is with the
brokers before it is noted as redriven: a crash in between makes duplicates, never a loss.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from ingest.backoff import Backoff
from ingest.collector import Collector, Identity, Limits
from ingest.formats.contract import Format
from ingest.formats.registry import format_named
from ingest.publisher import Publisher
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.envelope import MAX_RECORD_BYTES, Envelope, Header, Origin, pack
from ingest.schema.errors import ConfigError, StoreUnavailable
from ingest.unpacking import unpack
from storage.archive.objects import put_object
from storage.archive.store import ArchiveStore
from streams.dead_letters import Redrive, body_of

BATCH_LETTERS = 500
BATCH_BYTES = 8 * 1024 * 1024
RECORD_STAGES = ("index", "detect")

Outcome = Literal["redriven", "would be redriven", "redriven before", "stays dead"]
Note = Callable[[Sequence[Redrive]], "asyncio.Future[None]"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one letter.

    Attributes:
        records: Records published, or that would be.
        why: Why it stays dead.
    """

    letter: DeadLetter
    outcome: Outcome
    records: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Body:
    """The one delivery of a redriven body."""

    origin: Origin
    body: bytes
    received_at: dt.datetime
    source: str = ""

    async def acknowledge(self) -> None:
        """Nothing holds it: the letter stays where it is."""

    async def reject(self, reason: str, *, retry: bool) -> None:
        """Nothing to hand it back to: the letter stays where it is."""


class _Once:
    """A transport of one body."""

    def __init__(self, body: _Body) -> None:
        self._body = body

    async def deliveries(self) -> AsyncIterator[_Body]:
        yield self._body

    async def close(self) -> None:
        """Nothing is open."""
