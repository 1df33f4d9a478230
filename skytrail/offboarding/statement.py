"""The final statement about a collector: what came, what became of it, what is missing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from storage.archive.manifest import canonical, digest
from streams.status import SourceStatus

VERSION = 1
COUNTS = ("received", "indexed", "duplicate", "dead_lettered", "filtered", "sealed", "evaluated")


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where the ledger of the namespace stood when everything of the collector was in it.

    Attributes:
        origin: Which log.
        size: Its entries.
        root: Root of its tree, base64.
        checkpoint: Hex SHA-256 of the checkpoint.
    """

    origin: str
    size: int
    root: str
    checkpoint: str


class Digests(msgspec.Struct, frozen=True, kw_only=True):
    """What the digests of CloudTrail say of what it delivered.

    Attributes:
        verdict: clean, tampered or incomplete.
        digests: Digest files whose signature and links were checked.
        log_files: Log files that are as a digest lists them.
        findings: What is not as it should be.
    """

    place: str
    verdict: str
    digests: int
    log_files: int
    findings: int


class LastEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The newest event of the collector in the index, by event time."""

    id: str
    at: str
    received_at: str | None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the last event of a data set in a tier.

    Attributes:
        tier: hot: Elasticsearch; cold: the archive.
        decision: As `skytrail retention explain` has it; KEEP until `until`.
        until: None where no time decides.
    """

    dataset: str
    tier: str
    decision: str
    until: str | None
    because: str


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What is stated of a collector. Times are UTC, ISO 8601.

    Attributes:
        closed_at: From when on nothing is collected.
        stated_at: When this was found out.
        sources: Counts per namespace, format and sender since the installation began, with `residue` per role.
        lag: Messages that lay in Kafka when the collector had ended and that a role has not done.
        last_seen_at: When the watch over sources last saw the count grow.
        last_event: None where the index can't be asked or has none.
        ledger: None where the namespace has no ledger.
        digests: None where they were not asked for.
        retention_from: When the retention clock of the source starts: `closed_at`.
        kept: Until when its last events are kept, by the policies in force; empty where the ledger can't be asked.
        missing: Why the statement is not complete, in words; empty when it is.
        notes: What could not be found out and makes no difference to completeness.
    """

    v: int = VERSION
    collector: str
    transport: str
    format: str
    namespace: str
    closed_at: str
    stated_at: str
    sources: list[dict[str, str | int]]
    lag: dict[str, int]
    last_seen_at: str | None
    last_event: LastEvent | None
    ledger: Position | None
    digests: Digests | None
    retention_from: str
    kept: list[Kept]
    missing: list[str]
    notes: list[str]

    @property
    def complete(self) -> bool:
        """Whether every record that came is accounted for, in every role."""
        return not self.missing

    def total(self, count: str) -> int:
        """A count of all sources."""
        return sum(int(source[count]) for source in self.sources)


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """The entry of the ledger that cites a statement.

    Attributes:
        prefix: Where the log lies in the archive.
        index: Of the entry.
    """

    prefix: str
    index: int


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as it is kept.

    Attributes:
        sha256: Of the statement in canonical form.
        entry: None where this machine could not append to the ledger.
    """

    statement: Statement
    sha256: str
    entry: Entered | None


def row_of(source: SourceStatus) -> dict[str, str | int]:
    """A source as a statement has it."""
    row: dict[str, str | int] = {
        "namespace": source.namespace,
        "format": source.format,
        "collector": source.collector,
    }
    row |= {name: getattr(source, name) for name in COUNTS}
    return row | {f"residue_{role}": count for role, count in source.residue.items()}


def missing_of(
    sources: Sequence[SourceStatus],
    lag: Mapping[str, int],
    digests: Digests | None,
    *,
    running: bool,
    spooled: int = 0,
) -> Iterator[str]:
    """Why a statement made of this would not be complete.

    Args:
        running: A collector of this name still runs here.
        spooled: Bodies in its spool that are not in Kafka.
    """
    if running:
        yield "a collector of this name still runs on this machine"
    if spooled:
        yield f"{spooled} bodies lie in its spool and are not in Kafka"
    for role, count in lag.items():
        if count:
            yield f"the role {role} has {count} messages to do that lay in Kafka when the collector had ended"
    for source in sources:
        for role, count in source.residue.items():
            if count:
                yield f"{source.namespace}, {source.format}, {source.collector}: residue {count} in the role {role}"
    if digests is not None and digests.verdict != "clean":
        yield f"what CloudTrail delivered to {digests.place} is {digests.verdict}: {digests.findings} findings"


def digest_of(statement: Statement) -> str:
    """Hex SHA-256 of a statement in canonical form: JSON with sorted keys and without spaces."""
    return digest(canonical(statement))


def faults(record: Record, entry: bytes | None) -> Iterator[str]:
    """What is wrong with a record that was kept, in words.

    Args:
        record: As it was read.
        entry: What the ledger has at its place.
    """
    if record.sha256 != digest_of(record.statement):
        yield "the statement is not the one that was hashed"
    if record.entry is None:
        return
    told = msgspec.json.decode(entry, type=dict[str, Any]) if entry is not None else {}
    named = (told.get("type"), told.get("collector"), told.get("statement"))
    if named != ("offboarding", record.statement.collector, record.sha256):
        yield f"entry {record.entry.index} of the ledger does not cite it"
