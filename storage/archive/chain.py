"""The chain of segments of one namespace in one partition, as it lies in the store."""

from __future__ import annotations

import json

from ingest.schema.envelope import Position
from ingest.schema.errors import IntegrityError
from ingest.schema.identity import leaf_hash
from storage.archive import grouped
from storage.archive.encryption import Cipher, KeyGone, cipher_of, location_of
from storage.archive.manifest import (
    MANIFEST_SUFFIX,
    Artefact,
    Manifest,
    Totals,
    canonical,
    digest,
    manifest_key,
    parse,
    stream_prefix,
)
from storage.archive.segment import SegmentFiles, Tip
from storage.archive.store import ArchiveStore
from storage.datakeys.keys import DataKeys

_HEAD = "head.json"


class Chain:
    """Finds the end of a chain, joins segments to it, and finds what lies in it.

    ``head.json`` beside the manifests is a hint where the end is; the truth is the list of manifests.
    """

    def __init__(self, store: ArchiveStore, namespace: str, topic: str, partition: int) -> None:
        self.namespace = namespace
        self.topic = topic
        self.partition = partition
        self.last: Manifest | None = None
        self._store = store
        self._prefix = stream_prefix(namespace, topic, partition)
        self._digest: str | None = None
        self._recent: tuple[int, Manifest] | None = None
        self._leaves: tuple[int, bytes] | None = None
        self._grouped: tuple[int, dict[int, str]] | None = None

    def restore(self) -> None:
        """Find the end of the chain and make sure that its last segment is whole.

        Raises:
            IntegrityError: The chain has a hole, or its last segment is not what its manifest says.
        """
        hint = _read_hint(self._store.get(self._prefix + _HEAD))
        seq = -1 if hint is None else hint[0]
        after = self._prefix if hint is None else manifest_key(self._prefix, seq)
        for key in self._store.keys(self._prefix, after=after):
            if not key.endswith(MANIFEST_SUFFIX):
                continue
            seq += 1
            if key != manifest_key(self._prefix, seq):
                raise IntegrityError(f"reading archive chain: manifest {seq} is missing", where=key)
        if seq < 0:
            return
        body = self.manifest_bytes(seq)
        self.last, self._digest = parse(body, manifest_key(self._prefix, seq)), digest(body)
        if hint is not None and hint[0] == seq and hint[1] != self._digest:
            raise IntegrityError("reading archive chain: the last manifest was changed", where=self._where(seq))
        for part in (self.last.body, self.last.leaves, self.last.headers):
            self.read(part)

    def tip(self, start: int) -> Tip:
        """Where the next segment is joined; `start` is the first offset the chain covers if it is new."""
        if self.last is None:
            return Tip(seq=0, first_offset=start, previous=None, totals=Totals(records=0, bytes=0))
        return Tip(
            seq=self.last.seq + 1,
            first_offset=self.last.covers.last_offset + 1,
            previous=self._digest,
            totals=self.last.totals,
        )

    def holds(self, offset: int) -> bool:
        """Whether the records of this offset, if it has any of this namespace, are sealed already."""
        return self.last is not None and offset <= self.last.covers.last_offset

    def advance(self, files: SegmentFiles) -> None:
        """Take note of a segment that was written, and leave the hint."""
        self.last, self._digest = files.manifest, digest(files.body)
        key = self._prefix + _HEAD
        seq = files.manifest.seq
        current = self._store.get(key)
        known = _read_hint(current)
        if known is None or known[0] < seq:
            # Losing this race is harmless: the other sealer's hint is as good.
            self._store.swap(key, current, canonical({"manifest": self._digest, "seq": seq, "v": 1}))

    def manifest(self, seq: int) -> Manifest:
        """A manifest of the chain.

        Raises:
            IntegrityError: It is missing or no manifest.
        """
        if self._recent is None or self._recent[0] != seq:
            self._recent = (seq, parse(self.manifest_bytes(seq), self._where(seq)))
        return self._recent[1]

    def find(self, offset: int) -> Manifest | None:
        """The manifest that covers an offset."""
        if self.last is None or not self.holds(offset):
            return None
        recent = self._recent[1] if self._recent is not None else None
        if recent is not None and recent.covers.first_offset <= offset <= recent.covers.last_offset:
            return recent
        low, high = 0, self.last.seq
        while low < high:
            middle = (low + high) // 2
            if self.manifest(middle).covers.last_offset < offset:
                low = middle + 1
            else:
                high = middle
        manifest = self.manifest(low)
        return manifest if manifest.covers.first_offset <= offset else None

    def compare(self, offset: int, records: tuple[bytes, ...], keys: DataKeys | None = None) -> None:
        """Make sure that a message that came again is the one that was sealed.

        Where the data key of its segment, or of its subject, was destroyed nobody can tell, and it passes.

        Raises:
            IntegrityError: It is another: the topic was deleted and made anew, or someone rewrote it.
        """
        manifest = self.find(offset)
        span = manifest.span_of(offset) if manifest else None
        if manifest is not None and span is not None:
            if self._leaves is None or self._leaves[0] != manifest.seq:
                self._leaves = (manifest.seq, self.read(manifest.leaves))
            start, count = span
            sealed = self._leaves[1][32 * start : 32 * (start + count)]
            try:
                if len(records) == count and self._same(manifest, start, records, sealed, keys):
                    return
            except KeyGone:
                return
        raise IntegrityError(
            f"sealing again what is sealed already: namespace {self.namespace} holds other records at this offset",
            where=str(Position(self.topic, self.partition, offset)),
            mend="was the topic deleted and made anew? Then start a new archive.directory and keep the old one; "
            "otherwise read docs/runbook.md#integrityerror",
        )

    def _same(
        self, manifest: Manifest, start: int, records: tuple[bytes, ...], sealed: bytes, keys: DataKeys | None
    ) -> bool:
        """Whether records have the leaves that were sealed from an ordinal on."""
        cipher = cipher_of(manifest, keys)
        owners = self._owners(manifest, cipher) if cipher is not None and manifest.grouped else {}
        for at, record in enumerate(records):
            leaf_of = leaf_hash if cipher is None else cipher.leaf
            if (owner := owners.get(start + at)) is not None:
                own = grouped.subject_cipher(keys, self.namespace, owner)
                if own is None:
                    continue
                leaf_of = own.leaf
            if leaf_of(record) != sealed[32 * at : 32 * (at + 1)]:
                return False
        return True

    def gone_key(self, manifest: Manifest, number: int, keys: DataKeys | None) -> str | None:
        """The id of the data key that is gone and without which a record of a segment can't be read.

        Raises:
            IntegrityError: The segment is damaged.
            ConfigError: There is no key table, or its provider refuses.
            StoreUnavailable: Call it again.
        """
        try:
            cipher = cipher_of(manifest, keys)
        except KeyGone as exc:
            return str(exc)
        owner = self._owners(manifest, cipher).get(number) if cipher is not None and manifest.grouped else None
        gone = owner is not None and grouped.subject_cipher(keys, self.namespace, owner) is None
        return owner if gone else None

    def _owners(self, manifest: Manifest, cipher: Cipher) -> dict[int, str]:
        """The id of the subject's key of each record that has one, by its ordinal."""
        if self._grouped is None or self._grouped[0] != manifest.seq:
            body = cipher.open(self.read(manifest.body), location_of(manifest).bound("body"), manifest.body.key)
            groups = grouped.groups_of(body, manifest.n, manifest.body.key)
            self._grouped = (manifest.seq, {number: group.key for group in groups for number in group.records})
        return self._grouped[1]

    def read(self, part: Artefact) -> bytes:
        """The stored bytes of a part.

        Raises:
            IntegrityError: They are missing or were changed.
        """
        stored = self._store.get(part.key)
        if stored is None or digest(stored) != part.sha256:
            state = "is missing" if stored is None else "was changed"
            raise IntegrityError(f"reading archive object: it {state}", where=part.key)
        return stored

    def manifest_bytes(self, seq: int) -> bytes:
        """The stored bytes of a manifest of the chain.

        Raises:
            IntegrityError: It is missing.
        """
        body = self._store.get(manifest_key(self._prefix, seq))
        if body is None:
            raise IntegrityError(f"reading archive chain: manifest {seq} is missing", where=self._where(seq))
        return body

    def _where(self, seq: int) -> str:
        return manifest_key(self._prefix, seq)


def _read_hint(body: bytes | None) -> tuple[int, str] | None:
    """Number and digest of the last manifest as the hint has it; None without a readable one."""
    try:
        head = json.loads(body or b"null")
        return int(head["seq"]), str(head["manifest"])
    except (ValueError, TypeError, KeyError):
        return None  # only a hint: the list of manifests decides
