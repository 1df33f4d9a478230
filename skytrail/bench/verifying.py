"""What verifying an archive and proving one event costs; the archive is sealed for it, with a ledger, and no Kafka."""

from __future__ import annotations

import datetime as dt
import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingest.schema.envelope import encode
from ingest.schema.errors import EngineError
from skytrail.bench.samples import SEED
from skytrail.bench.sealing import NAMESPACE, Tell, material
from skytrail.demo.delivery import CLOUDTRAIL
from storage.archive.sealer import PartitionSealer
from storage.archive.stores.filesystem import FilesystemStore
from storage.ledger.checkpoint import parse_head
from storage.ledger.keyring import KeyRing
from storage.ledger.log import LogIdentity
from storage.ledger.notary import Notary, ready_keys, told_settings
from storage.ledger.note import Note, parse
from storage.ledger.published import PublishedLog
from storage.ledger.signing import NoteSigner
from storage.settings import ArchiveSettings, LedgerSettings
from storage.verify.archive import examine
from storage.verify.findings import Summary
from storage.verify.ledger.notes import parse_vkey
from storage.verify.ledger.pins import Pins
from storage.verify.places import Directory
from storage.verify.proof.checking import check_proof
from storage.verify.proof.making import Asked, make_proof
from storage.verify.scope import Scope
from streams.topics import raw_topic

_PARTITIONS: Final = 4
_WITNESSES: Final = tuple(
    NoteSigner(f"witness.example/{number}", Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32), witness=True)
    for number in (1, 2)
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """An archive to measure with."""

    place: Directory
    pins: Pins
    events: int
    record_bytes: int
    messages: tuple[tuple[int, int, int], ...]
    """Partition, offset and number of records of each message."""


@dataclass(frozen=True, slots=True)
class Verified:
    """One verification.

    Attributes:
        processes: How many read segments.
        events_per_core_s: Events of a second of processor time, of all processes together.
        seconds: On the clock.
    """

    processes: int
    events: int
    record_bytes: int
    events_per_core_s: int
    seconds: float
    events_per_s: int


@dataclass(frozen=True, slots=True)
class Proven:
    """Proofs of single events.

    Attributes:
        step: `make` or `check`, with or without the record in the proof.
        cpu_ms: Processor time of one proof; the median of all.
        median_ms: On the clock.
        bytes: Median size of a proof file.
    """

    step: str
    proofs: int
    cpu_ms: float
    median_ms: float
    worst_of_100_ms: float
    bytes: int


def seal(directory: Path, events: int, tell: Tell) -> Sealed:
    """Seal generated records in four partitions with the code of the role, and enter the segments in a ledger."""
    now = dt.datetime.now(dt.UTC)
    envelopes, record_bytes = material(events, now)
    store, archive, ledger = (
        FilesystemStore(directory / "archive", allow_delete=True),
        ArchiveSettings(),
        LedgerSettings(),
    )
    keys = KeyRing(directory / "keys" / "keys.json")
    ready_keys(store, keys, now, days=1)
    notary = Notary(store, keys, ledger, told_settings(ledger, archive), _now)
    topic = raw_topic(CLOUDTRAIL)
    sealers = [PartitionSealer(store, topic, number, archive, _now) for number in range(_PARTITIONS)]
    messages = []
    for number, envelope in enumerate(envelopes):
        partition, offset = number % _PARTITIONS, number // _PARTITIONS
        sealer = sealers[partition]
        sealer.add(offset, encode(envelope))
        messages.append((partition, offset, len(envelope.records)))
        if sealer.due():
            sealer.seal()
            tell("sealing", number, len(envelopes))
    for sealer in sealers:
        sealer.seal()
    notary.record([chain for sealer in sealers for chain in sealer.chains()])
    tell("sealing", len(envelopes), len(envelopes))
    log = PublishedLog(store, LogIdentity(ledger.organisation, ledger.epoch, NAMESPACE))
    _cosign(log, now)
    pins = Pins(
        keys=tuple(parse_vkey(str(key)) for key in keys.newest(now).verifier_keys(log.identity.origin)),
        witnesses=tuple(parse_vkey(str(witness.key)) for witness in _WITNESSES),
    )
    return Sealed(Directory(directory / "archive"), pins, events, record_bytes, tuple(messages))


def _cosign(log: PublishedLog, now: dt.datetime) -> None:
    """Two witnesses see the published checkpoint: their lines are in every proof."""
    note = parse(log.checkpoint() or b"")
    lines = [witness.sign(note.text, int(now.timestamp())) for witness in _WITNESSES]
    log.keep(parse_head(note.text).size, Note(note.text, (*note.signatures, *lines)).encode())


def verify(sealed: Sealed, processes: Sequence[int], rounds: int, tell: Tell) -> Iterator[Verified]:
    """Verify everything with so many processes; the best of some rounds.

    Raises:
        EngineError: The archive is not clean.
    """
    for jobs in processes:
        best = least = float("inf")
        for number in range(rounds):
            tell(f"verifying with {jobs} processes", number, rounds)
            began, spent, summary = time.monotonic(), _processor_time(), Summary()
            scope = Scope(jobs=jobs, pins=sealed.pins, now=dt.datetime.now(dt.UTC))
            findings = list(examine(sealed.place, scope, summary))
            best, least = min(best, time.monotonic() - began), min(least, _processor_time() - spent)
            if summary.tampered or summary.records != sealed.events:
                raise EngineError(f"verifying what was just sealed: {summary.records} records, {findings[:3]}")
        tell(f"verifying with {jobs} processes", rounds, rounds)
        events = sealed.events
        yield Verified(jobs, events, sealed.record_bytes, round(events / least), round(best, 3), round(events / best))


def prove(sealed: Sealed, proofs: int, tell: Tell) -> Iterator[Proven]:
    """Prove events at random, and check the proofs.

    Raises:
        EngineError: A proof does not hold.
    """
    rng = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    asked = []
    for partition, offset, records in rng.choices(sealed.messages, k=proofs):
        asked.append(Asked(raw_topic(CLOUDTRAIL), partition, offset, rng.randrange(records)))
    for with_record in (True, False):
        words = "with the record" if with_record else "without the record"
        sizes: list[int] = []
        making, checking = _Times(), _Times()
        for number, each in enumerate(asked):
            with making.one():
                proof = make_proof(sealed.place, each, with_record=with_record)
            with checking.one():
                wrong = check_proof(proof, sealed.pins).wrong
            if wrong:
                raise EngineError(f"checking a proof of {each}: {wrong}")
            sizes.append(len(proof.encode()))
            tell(f"proving {words}", number + 1, proofs)
        for step, times in (("make", making), ("check", checking)):
            cpu, clock = sorted(times.cpu), sorted(times.clock)
            yield Proven(
                step=f"{step}, {words}",
                proofs=proofs,
                cpu_ms=round(cpu[proofs // 2], 2),
                median_ms=round(clock[proofs // 2], 2),
                worst_of_100_ms=round(clock[proofs * 99 // 100], 2),
                bytes=sorted(sizes)[proofs // 2],
            )


@dataclass(slots=True)
class _Times:
    """Milliseconds of many short works."""

    cpu: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Measure what is done inside."""
        clock, cpu = time.perf_counter(), time.process_time()
        yield
        self.cpu.append(1e3 * (time.process_time() - cpu))
        self.clock.append(1e3 * (time.perf_counter() - clock))


def _processor_time() -> float:
    """Seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
