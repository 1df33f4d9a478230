"""What a verification can find, as values; the command line renders them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar


class Grade(enum.StrEnum):
    """What a finding means for the whole."""

    TAMPERED = "tampered"
    """What is there is not what was sealed."""
    INCOMPLETE = "incomplete"
    """Nothing wrong was found, and not everything could be checked."""
    LAWFUL = "lawful"
    """Something is away, or still there, and the ledger says why."""


class Kind(enum.StrEnum):
    """What was found."""

    ALTERED = "ALTERED"
    """Bytes differ from what was sealed."""
    MISSING = "MISSING"
    """Sealed, and not there."""
    INSERTED = "INSERTED"
    """There, and never sealed."""
    REORDERED = "REORDERED"
    """There, in another order."""
    DUPLICATE = "DUPLICATE"
    """There more often than sealed."""
    REWRITTEN = "REWRITTEN"
    """An event came again under its id with other bytes and another time."""
    GAP = "GAP"
    """A hole: nobody vouches for what should be there."""
    TRUNCATED = "TRUNCATED"
    """The end was cut off."""
    ROLLBACK = "ROLLBACK"
    """An older state is shown than one that is vouched for."""
    SPLIT_VIEW = "SPLIT_VIEW"
    """The log was signed with two histories that contradict each other."""
    UNANCHORED = "UNANCHORED"
    """No quorum of witnesses, or no time stamp, in time."""
    SIG = "SIG"
    """A signature is wrong, or its key, or the key was not valid then."""
    ERASED = "ERASED"
    """Its data key was destroyed, and the ledger says that it was to be: lawful."""
    KEPT = "KEPT"
    """Still there, though the ledger says that it was to be destroyed."""
    HELD = "HELD"
    """Still there, though it was to be destroyed: the ledger has a hold or a minimum that keeps it, so lawful."""
    UNLAWFUL = "UNLAWFUL"
    """Destroyed, or to be destroyed, against the policy of the ledger, a hold, or without the approvals it asks for."""
    DRIFT = "DRIFT"
    """The store's own legal hold on it is not what the ledger says."""
    LOCK_WEAK = "LOCK_WEAK"
    """The store lets it be deleted before its stamp ends."""
    UNCHECKED = "UNCHECKED"
    """Could not be read or is of a later version: nothing is known about it."""


_LAWFUL = frozenset({Kind.ERASED, Kind.HELD})
_INCOMPLETE = frozenset({Kind.UNCHECKED, Kind.UNANCHORED, Kind.LOCK_WEAK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found, as exactly as it can be named.

    Attributes:
        detail: In words.
        key: Object in which it was found.
        seq: Segment of the chain.
        offset: Offset of the message in its partition.
        index: Record in that message.
        entry: Index of an entry in the ledger.
        document: Index and id of a document in Elasticsearch, ``index/id``.
        declared: The sealer itself states it (a hole that Kafka left): incomplete, not tampered.
    """

    kind: Kind
    detail: str
    key: str = ""
    namespace: str = ""
    topic: str = ""
    partition: int | None = None
    seq: int | None = None
    offset: int | None = None
    index: int | None = None
    entry: int | None = None
    document: str = ""
    declared: bool = False

    @property
    def grade(self) -> Grade:
        """What it means for the whole."""
        if self.kind in _LAWFUL:
            return Grade.LAWFUL
        if self.kind in _INCOMPLETE or self.declared:
            return Grade.INCOMPLETE
        return Grade.TAMPERED


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place in an archive that findings are made at."""

    namespace: str = ""
    topic: str = ""
    partition: int | None = None
    seq: int | None = None
    key: str = ""

    def finding(
        self,
        kind: Kind,
        detail: str,
        *,
        seq: int | None = None,
        key: str = "",
        offset: int | None = None,
        index: int | None = None,
        entry: int | None = None,
        stream: tuple[str, int] | None = None,
        declared: bool = False,
    ) -> Finding:
        """A finding here; `seq`, `key` and `stream` (topic, partition) only where they differ from this place."""
        return Finding(
            kind=kind,
            detail=detail,
            key=key or self.key,
            namespace=self.namespace,
            topic=stream[0] if stream else self.topic,
            partition=stream[1] if stream else self.partition,
            seq=self.seq if seq is None else seq,
            offset=offset,
            index=index,
            entry=entry,
            declared=declared,
        )


@dataclass(slots=True)
class Summary:
    """What was checked so far.

    Attributes:
        segments: Manifests whose place in their chain was checked.
        skipped: Of these, segments outside of the asked time range: their bytes were not read.
        records: Records whose bytes were compared with what was sealed.
        destroyed: Records that are gone as a tombstone of the ledger announced; their leaves were compared.
        erased: Records of people whose keys were destroyed, as the ledger says; their leaves were compared.
        bytes: Bytes of these records, uncompressed.
        closed: Encrypted segments without their data key: stored bytes, leaves and root are checked, records are not.
        objects: Whole bodies kept as objects.
        entries: Entries of the ledger that are covered by a checkpoint.
        checkpoints: Stored checkpoints that agree with the entries.
        unledgered: Segments that are so new that the ledger need not have them yet.
        documents: Documents that are as the archive makes them.
        unindexed: Records without a document of their own, for a reason: duplicates, refused, filtered, very young.
        orphans: Parts that no manifest names: left by a sealer that was stopped; harmless.
        digests: CloudTrail digests whose signature and links were checked.
        log_files: CloudTrail log files that are as a digest lists them.
        pending: Log files of the last minutes, which the next digest will list.
        findings: All of them.
        unchecked: Findings that make the verification incomplete.
        lawful: Findings that the ledger explains.
    """

    streams: int = 0
    segments: int = 0
    skipped: int = 0
    records: int = 0
    destroyed: int = 0
    erased: int = 0
    bytes: int = 0
    closed: int = 0
    objects: int = 0
    entries: int = 0
    checkpoints: int = 0
    unledgered: int = 0
    documents: int = 0
    unindexed: int = 0
    orphans: int = 0
    digests: int = 0
    log_files: int = 0
    pending: int = 0
    findings: int = 0
    unchecked: int = 0
    lawful: int = 0

    def note(self, finding: Finding) -> None:
        """Count a finding."""
        self.findings += 1
        self.unchecked += finding.grade is Grade.INCOMPLETE
        self.lawful += finding.grade is Grade.LAWFUL

    @property
    def ok(self) -> bool:
        """Complete and clean."""
        return self.findings == self.lawful

    @property
    def tampered(self) -> bool:
        """Something is wrong, beyond what could not be checked."""
        return self.findings > self.unchecked + self.lawful


_T = TypeVar("_T")
Checking = Generator[Finding, None, _T]
"""Yields what is wrong and returns what was learned."""
Progress = Callable[[Summary], None]
"""Called after every segment and object."""
