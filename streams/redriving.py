"""Sends dead letters on their way again.

| letter of stage | what is published |
|---|---|
| index, detect | the record, in an envelope with the header it had: same origin, same time of receipt, same identity |
| collect | its body goes through the collector's own road again: inflate, split, envelopes, dead letters |
| collect, a record nobody recognised | the record, once a format recognises it |
| anything without a header | nothing: it is not known what it is |

A record that is refused again becomes a new letter. A body whose first records were delivered before its fault gives
these again, as duplicates by id. Everything published counts as received once more. What is published is with the
brokers before it is noted as redriven: a crash in between makes duplicates, never a loss.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from ingest.backoff import Backoff
from ingest.collector import Collector, Identity, Limits
from ingest.formats.contract import Format
from ingest.formats.recognition import chosen, formats_of, only, uncertainty
from ingest.publisher import Publisher
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.envelope import MAX_RECORD_BYTES, Envelope, Header, Origin, pack
from ingest.schema.errors import BrokerUnavailable, ConfigError, StoreUnavailable
from ingest.unpacking import unpack
from storage.archive.objects import put_object
from storage.archive.store import ArchiveStore
from storage.datakeys.keys import DataKeys
from streams.dead_letters import Redrive, body_of

BATCH_LETTERS = 500
BATCH_BYTES = 8 * 1024 * 1024
BODY_TIMEOUT_S = 300.0
RECORD_STAGES = ("index", "detect")
_SINGLE_RECORDS = ("OversizedRecord", "UnrecognisedRecord")
"""Reasons for which a collector refuses one record and not a body."""

Outcome = Literal["redriven", "would be redriven", "redriven before", "stays dead"]
Note = Callable[[Sequence[Redrive]], Awaitable[None]]
"""Makes durable that letters were redriven."""
InflatedLimit = Callable[[Header], int]
"""The most bytes that an inflated body of this collector may have."""


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


@dataclass(frozen=True, slots=True)
class Road:
    """What a redrive goes through.

    Attributes:
        store: The archive: holds bodies too large for Kafka.
        dry_run: Do everything but publish and note.
        keys: Data keys of what is encrypted there.
    """

    publisher: Publisher
    store: ArchiveStore
    note: Note
    inflated_limit: InflatedLimit
    clock: Callable[[], dt.datetime]
    dry_run: bool = False
    keys: DataKeys | None = None


async def redrive(
    letters: AsyncIterator[DeadLetter], road: Road, *, done: Mapping[str, Redrive], again: bool = False
) -> AsyncGenerator[Result, None]:
    """Redrive letters; results come when the brokers have what was published and it is noted.

    Args:
        letters: The wanted ones; one that comes twice is redriven once.
        road: What they go through.
        done: What was redriven before.
        again: Redrive that, too.

    Raises:
        BrokerUnavailable: Kafka does not take it. What was yielded is done, the rest may or may not be.
    """
    seen: set[bytes] = set()
    batch: list[DeadLetter] = []
    size = 0
    async for letter in letters:
        key = bytes.fromhex(letter.id)
        if key in seen:
            continue
        seen.add(key)
        if letter.id in done and not again:
            yield Result(letter, "redriven before", why=f"at {done[letter.id].at:%Y-%m-%dT%H:%M:%SZ}")
            continue
        batch.append(letter)
        size += len(letter.body)
        if len(batch) >= BATCH_LETTERS or size >= BATCH_BYTES:
            for result in await _batch(batch, road, done):
                yield result
            batch, size = [], 0
    for result in await _batch(batch, road, done):
        yield result


async def _batch(letters: Sequence[DeadLetter], road: Road, done: Mapping[str, Redrive]) -> list[Result]:
    revived: list[tuple[DeadLetter, Envelope]] = []
    results: list[Result] = []
    for letter in letters:
        try:
            found = await _revive(letter, road)
        except (ConfigError, StoreUnavailable) as exc:
            found = str(exc)
        if isinstance(found, Envelope):
            revived.append((letter, found))
        elif isinstance(found, str):
            results.append(Result(letter, "stays dead", why=found))
        else:
            results.append(Result(letter, _done(road), found))
    if not road.dry_run:
        await road.publisher.publish(joined(envelope for _, envelope in revived))
    results += [Result(letter, _done(road), 1) for letter, _ in revived]
    if not road.dry_run:
        now = road.clock()
        await road.note(
            [
                Redrive(letter=r.letter.id, at=now, records=r.records, times=_times(done, r.letter) + 1)
                for r in results
                if r.outcome == "redriven"
            ]
        )
    return results


def _done(road: Road) -> Outcome:
    return "would be redriven" if road.dry_run else "redriven"


def _times(done: Mapping[str, Redrive], letter: DeadLetter) -> int:
    return done[letter.id].times if letter.id in done else 0


async def _revive(letter: DeadLetter, road: Road) -> Envelope | int | str:
    """The envelope of a record, the records that its body gave, or why the letter stays dead."""
    if letter.header is None:
        return (
            "it has no header: format and namespace are not known; look at it with `skytrail dead-letters show --raw`"
        )
    header = letter.header
    format_ = chosen(header.format)
    if letter.stage == "collect" and letter.reason not in _SINGLE_RECORDS:
        return await _collect_again(letter, header, format_, road)
    if letter.stage not in (*RECORD_STAGES, "collect"):
        return f"letters of stage {letter.stage} hold no record as received"
    body = await asyncio.to_thread(body_of, letter, road.store, road.keys)
    if len(body) > MAX_RECORD_BYTES:
        return f"the record has {len(body)} bytes, more than an envelope may carry ({MAX_RECORD_BYTES})"
    if format_ is None:
        known = formats_of(body)
        if (told := only(known)) is None:
            return f"it is still not recognised: {uncertainty(known)}"
        header = msgspec.structs.replace(header, format=told.name)
    ordinal = letter.position.index if letter.position else 0
    return Envelope(
        header=_at(header, header.origin.first_ordinal + ordinal),
        records=(body,),
        repeats={0: letter.repeat} if letter.repeat else {},
    )


async def _collect_again(letter: DeadLetter, header: Header, format_: Format | None, road: Road) -> int | str:
    """Send a body through the collector's road.

    The ordinals of its records are counted from 0: for the later parts of a file that came in parts they begin anew.
    """
    body = await asyncio.to_thread(body_of, letter, road.store, road.keys)
    limit = road.inflated_limit(header)
    unpacked = await asyncio.to_thread(unpack, body, format_, limit)
    if unpacked.fault and len(unpacked.records) <= header.origin.first_ordinal:
        return f"it is still refused: {unpacked.fault.what}"
    if road.dry_run:
        return len(unpacked.records)
    collector = Collector(
        Identity(header.collector, header.namespace, format_, header.context),
        _Once(_Body(_at(header, 0).origin, body, header.received_at)),
        road.publisher,
        put_object=lambda namespace, found: put_object(road.store, namespace, found, road.keys, road.clock()),
        clock=road.clock,
        limits=Limits(max_inflated_bytes=limit),
        backoff=Backoff(),
    )
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return (await collector.run()).published
    except TimeoutError as exc:
        raise BrokerUnavailable(f"redriving a body: not published within {BODY_TIMEOUT_S:g} s") from exc


def joined(envelopes: Iterable[Envelope]) -> list[Envelope]:
    """The same records in fewer envelopes: those that lay side by side in one body travel together again."""
    bodies: dict[Header, list[Envelope]] = {}
    for envelope in envelopes:
        bodies.setdefault(_at(envelope.header, 0), []).append(envelope)
    found: list[Envelope] = []
    for header, parts in bodies.items():
        run: list[Envelope] = []
        for part in sorted(parts, key=lambda each: each.header.origin.first_ordinal):
            if run and part.header.origin.first_ordinal != run[-1].header.origin.first_ordinal + 1:
                found += _packed(header, run)
                run = []
            run.append(part)
        found += _packed(header, run)
    return found


def _packed(header: Header, run: Sequence[Envelope]) -> list[Envelope]:
    """Envelopes of single records that follow each other."""
    first = run[0].header.origin.first_ordinal
    repeats = {place: part.repeats[0] for place, part in enumerate(run) if part.repeats}
    return pack(_at(header, first), [part.records[0] for part in run], repeats)


def _at(header: Header, ordinal: int) -> Header:
    return msgspec.structs.replace(header, origin=msgspec.structs.replace(header.origin, first_ordinal=ordinal))
