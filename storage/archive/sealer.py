"""Seals one partition of a topic: every record exactly once, in order, whatever crashes.

Order of writes for a batch: the parts of all its segments, then the manifests, then the hints. A manifest is the commit
point of its segment, and its key can be won only once; so a slower sealer of the same partition, alive after a
rebalance, finds its number taken, reads the chains anew (the same function as at start-up) and goes on from there.

| stopped | at restart |
|---|---|
| before a manifest | nothing is sealed; Kafka delivers again; the parts are orphans and harmless |
| between the manifests of a batch | the sealed namespaces know their offsets, the others are sealed now |
| before the offset is committed | Kafka delivers again; what comes is compared with what is sealed and skipped |

A record may come long after its month, when the key that it was encrypted under is being destroyed. So before anything
is written the sealer says what it will publish and looks whether the keys may still be used; see `datakeys.closing`.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable

import msgspec

from ingest.schema.errors import AlreadyExists, IntegrityError
from storage.archive.chain import Chain
from storage.archive.contents import Content, RecordsOf, of_envelope
from storage.archive.encryption import Cipher
from storage.archive.manifest import Batch, Partition, stream_prefix
from storage.archive.portions import within_runs
from storage.archive.progress import MAX_GAPS, bounded, progress
from storage.archive.seal_report import SealedMessage, SealReport, message_of, segment_of, together
from storage.archive.segment import Promise, SegmentBuilder, SegmentFiles
from storage.archive.store import ArchiveStore
from storage.archive.subjects import principal_of
from storage.datakeys.key import DataKey
from storage.datakeys.keys import DataKeys
from storage.settings import ArchiveSettings

MAX_MESSAGES = 1500  # of a segment: what is buffered and can't be cut further
MAX_RUNS = 20  # of a segment: each is in every proof of a record of it
_ATTEMPTS = 3


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    files: tuple[SegmentFiles, ...]
    partition: Partition
    report: SealReport


class PartitionSealer:
    """The sealer of one partition, made anew whenever the partition is assigned.

    `seal` blocks on the disk, so call it in a thread of its own. Calls exclude each other: a cancelled task may leave
    a thread that still seals.

    Args:
        store: Where segments go.
        topic: Topic of the partition.
        partition: Its number.
        settings: When to seal.
        clock: Gives the present time, with zone.
        records_of: Reads the values of this topic.
        keys: Data keys; None: everything is in the clear.
        promise: Stamps segments; None: they carry no stamp.
    """

    def __init__(
        self,
        store: ArchiveStore,
        topic: str,
        partition: int,
        settings: ArchiveSettings,
        clock: Callable[[], dt.datetime],
        *,
        records_of: RecordsOf = of_envelope,
        keys: DataKeys | None = None,
        promise: Promise | None = None,
    ) -> None:
        self._store = store
        self._topic = topic
        self._number = partition
        self._settings = settings
        self._clock = clock
        self._records_of = records_of
        self._keys = keys
        self._promise = promise
        self._chains: dict[str, Chain] = {}
        self._partition: Partition | None = None
        self._through: int | None = None
        self._restored = False
        self._buffer: dict[int, Content] = {}
        self._records = self._bytes = 0
        self._opened: dt.datetime | None = None
        self._plan: _Plan | None = None
        self._sealed: list[SealReport] = []
        self._asked: int | None = None
        self._lock = threading.RLock()

    @property
    def through(self) -> int | None:
        """The archive has every message of the partition up to and with this offset, but for the gaps it states."""
        return self._through

    def chains(self) -> list[Chain]:
        """The chains of this partition, read if they were not."""
        with self._lock:
            if not self._restored:
                self.restore()
            return list(self._chains.values())

    def restore(self) -> None:
        """Read where the chains of this partition end; `seal` does it when it was not done.

        Raises:
            StoreUnavailable: Call it again.
            IntegrityError: A chain is damaged.
        """
        with self._lock:
            self._restored = False
            self._plan = None
            chains: dict[str, Chain] = {}
            for namespace in self._store.folders(""):
                chain = Chain(self._store, namespace, self._topic, self._number)
                chain.restore()
                if chain.last is not None:
                    chains[namespace] = chain
            self._chains = chains
            self._through, self._partition = progress(chains)
            self._restored = True

    def add(self, offset: int, value: bytes | None) -> None:
        """Take a message in; nothing is durable before `seal`.

        Raises:
            IntegrityError: Another message was taken in under this offset.
        """
        content = self._records_of(value)
        with self._lock:
            known = self._buffer.get(offset)
            if known is not None:
                if known.records != content.records:
                    raise IntegrityError("buffering message: two under one offset", where=self._where(offset))
                return
            if not self._buffer:
                self._opened = self._clock()
            self._buffer[offset] = content
            self._records += len(content.records)
            self._bytes += sum(map(len, content.records))

    def due(self, now: dt.datetime | None = None) -> bool:
        """Whether what is buffered should be sealed now: enough records, bytes or messages, or old enough."""
        if not self._buffer or self._opened is None:
            return False
        age = ((now or self._clock()) - self._opened).total_seconds()
        return (
            self._records >= self._settings.segment_max_records
            or self._bytes >= self._settings.segment_max_bytes
            or len(self._buffer) >= MAX_MESSAGES
            or not 0 <= age < self._settings.segment_max_age_s  # a clock set back must not delay sealing
        )

    def seal(self) -> SealReport:
        """Seal everything buffered, in as many segments as it takes; durable on return.

        Raises:
            StoreUnavailable: Nothing is lost; call it again.
            IntegrityError: The archive and Kafka contradict each other, or other sealers win again and again.
        """
        with self._lock:
            if self._asked is None:
                self._asked = max(self._buffer, default=-1)
            while self._buffer and min(self._buffer) <= self._asked:
                self._sealed.append(self._seal())  # kept: if the next one fails, the next call tells of this one, too
            sealed, self._sealed, self._asked = self._sealed, [], None
            return together(sealed)

    def _seal(self) -> SealReport:
        for _ in range(_ATTEMPTS):
            if not self._restored:
                self.restore()
            if self._plan is None:
                self._plan = self._make_plan()
            if not self._announced(self._plan):
                self._restored = False  # a key was destroyed meanwhile: built anew, it is sealed under another
                continue
            try:
                self._write(self._plan)
            except AlreadyExists:
                self._restored = False  # another sealer of this partition was faster; its chain is the truth
                continue
            return self._finish(self._plan)
        raise IntegrityError(
            "sealing: other bytes lie under the keys of this segment, or its data keys vanish, again and again",
            where=self._where(min(self._buffer)),
            mend="make sure that only one group of seal workers writes to archive.directory; do not delete anything",
        )

    def _make_plan(self) -> _Plan:
        """Decide what of the buffer is new, and build its segments."""
        offsets = self._portion(sorted(self._buffer))
        partition = self._partition or Partition(start=offsets[0], gaps=[])
        gaps = self._missing(offsets)
        partition = Partition(start=partition.start, gaps=bounded([*partition.gaps, *gaps]))
        builders: dict[str, SegmentBuilder] = {}
        messages: list[SealedMessage] = []
        first_new = offsets[-1] + 1
        for offset in offsets:
            content = self._buffer[offset]
            chain = self._chain(content.namespace)
            known = chain.holds(offset)
            if known:
                chain.compare(offset, content.records, self._keys)
            else:
                self._refuse_before(partition.start, offset)
                first_new = min(first_new, offset)
                namespace = content.namespace
                if namespace not in builders:
                    subject_of = principal_of if self._keys is not None and self._keys.by_subject else None
                    builders[namespace] = SegmentBuilder(namespace, self._topic, self._number, subject_of)
                builders[namespace].add(offset, content)
            messages.append(message_of(offset, content, known=known))
        batch = Batch(first_offset=first_new, last_offset=offsets[-1], parts=len(builders))
        sealed_at = self._clock()
        files = tuple(
            self._built(
                builder, namespace, last_offset=offsets[-1], sealed_at=sealed_at, batch=batch, partition=partition
            )
            for namespace, builder in sorted(builders.items())
        )
        report = SealReport(
            committed_through=offsets[-1],
            segments=tuple(map(segment_of, files)),
            messages=tuple(messages),
            gaps=tuple(gaps),
        )
        return _Plan(files=files, partition=partition, report=report)

    def _built(
        self,
        builder: SegmentBuilder,
        namespace: str,
        *,
        last_offset: int,
        sealed_at: dt.datetime,
        batch: Batch,
        partition: Partition,
    ) -> SegmentFiles:
        """The segment of a namespace, encrypted where that is on."""
        keys = self._keys
        month = keys.for_sealing(namespace, builder.month(sealed_at)) if keys is not None and keys.seals else None
        return builder.build(
            self._chains[namespace].tip(partition.start),
            last_offset=last_offset,
            sealed_at=sealed_at,
            batch=batch,
            partition=partition,
            cipher=Cipher(month) if month is not None else None,
            of_subject=self._people(namespace, month),
            promise=self._promise,
        )

    def _people(self, namespace: str, month: DataKey | None) -> Callable[[str], Cipher] | None:
        """The ciphers of people, where they have keys of their own."""
        keys = self._keys if self._keys is not None and self._keys.by_subject else None
        if month is None or keys is None:
            return None
        return lambda subject: Cipher(keys.of_person(namespace, month, subject))

    def _announced(self, plan: _Plan) -> bool:
        """Say what is about to be published; False where a data key must not be used any more."""
        keys = self._keys
        if keys is None:
            return True
        each = [keys.announce(files.manifest.namespace, files.sealed_under, files.key) for files in plan.files]
        return all(each)

    def _write(self, plan: _Plan) -> None:
        """Write a plan; every step can be done again."""
        for files in plan.files:
            for key, body in files.objects:
                self._store.put(key, body, files.until)
        for files in plan.files:
            self._store.put(files.key, files.body, files.until)
        for files in plan.files:
            self._chains[files.manifest.namespace].advance(files)
            if self._keys is not None:
                self._keys.published(files.manifest.namespace, files.sealed_under, files.key)

    def _finish(self, plan: _Plan) -> SealReport:
        """Forget what is sealed; what came while the plan waited for the store stays buffered."""
        for message in plan.report.messages:
            del self._buffer[message.offset]
            self._records -= message.records
            self._bytes -= message.bytes
        self._plan = None
        self._partition = plan.partition
        self._through = max(plan.report.messages[-1].offset, -1 if self._through is None else self._through)
        self._opened = self._clock() if self._buffer else None
        return plan.report

    def _portion(self, offsets: list[int]) -> list[int]:
        """As many of the first offsets as one segment takes; of their gaps none is merged with another."""
        offsets = offsets[: within_runs([(at, self._buffer[at]) for at in offsets[:MAX_MESSAGES]], MAX_RUNS)]
        while len(self._missing(offsets)) >= MAX_GAPS:
            offsets = offsets[:-1]
        return offsets

    def _missing(self, offsets: list[int]) -> list[tuple[int, int]]:
        """The ranges of offsets that were neither sealed nor delivered."""
        gaps: list[tuple[int, int]] = []
        expected = offsets[0] if self._through is None else self._through + 1
        for offset in offsets:
            if offset > expected:
                gaps.append((expected, offset - 1))
            expected = max(expected, offset + 1)
        return gaps

    def _chain(self, namespace: str) -> Chain:
        chain = self._chains.get(namespace)
        if chain is None:
            chain = self._chains[namespace] = Chain(self._store, namespace, self._topic, self._number)
        return chain

    def _refuse_before(self, start: int, offset: int) -> None:
        if offset < start:
            raise IntegrityError(
                f"sealing: the archive of this partition starts at offset {start}",
                where=self._where(offset),
                mend="commit that offset for the group of the seal role, or start a new archive.directory",
            )

    def _where(self, offset: int) -> str:
        return f"{stream_prefix('*', self._topic, self._number)} offset {offset}"
