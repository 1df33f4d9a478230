"""Builds one segment from messages. Pure: the same input gives the same bytes."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from ingest.schema.envelope import Header
from ingest.schema.identity import leaf_hash
from storage.archive import frames, grouped
from storage.archive.contents import Content
from storage.archive.encryption import CODEC_SUFFIX, Cipher, Location
from storage.archive.manifest import (
    ENCRYPTED_VERSION,
    GROUPED_SCHEME,
    GROUPED_VERSION,
    SCHEME,
    VERSION,
    Artefact,
    Batch,
    Builder,
    Covers,
    Encryption,
    Manifest,
    Partition,
    Retention,
    Source,
    Sources,
    Stream,
    Times,
    Totals,
    canonical,
    digest,
    instant,
    manifest_key,
    stream_prefix,
)
from storage.archive.merkle import root_of
from storage.archive.subjects import SubjectOf

HEADERS_CODEC = "jsonl+zstd"
LEAVES_CODEC = "sha256"
MAX_LISTED_BYTES = 352
"""Of runs, gaps and origins together: each proof of a record has the manifest in it, and must stay below 6 KB."""
Promise = Callable[[str, dt.datetime], Retention | None]
"""(namespace, when its newest record was received, or when it is sealed if that is later) → its stamp."""
BUILDER = Builder(product="skytrail", version=importlib.metadata.version("skytrail"))


class MessageLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the headers object: with the records it gives back the envelope."""

    offset: int
    n: int
    header: Header | None
    repeats: dict[int, int]


class Tip(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a chain, to which the next segment is joined.

    Attributes:
        seq: Number of the next segment.
        first_offset: First offset that the next segment covers.
        previous: Hex SHA-256 of the last manifest.
    """

    seq: int
    first_offset: int
    previous: str | None
    totals: Totals


class SegmentFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A segment ready to be written: first `objects`, then the manifest under `key`.

    Attributes:
        sealed_under: Ids of the data keys that open it: the month's and those of people.
    """

    manifest: Manifest
    key: str
    body: bytes
    objects: tuple[tuple[str, bytes], ...]
    sealed_under: tuple[str, ...] = ()

    @property
    def until(self) -> dt.datetime | None:
        """Up to when its stamp promises to keep it."""
        stamp = self.manifest.retention
        return None if stamp is msgspec.UNSET else dt.datetime.fromisoformat(stamp.retain_until)


_line_encoder = msgspec.json.Encoder()


class SegmentBuilder:
    """Collects the messages of one stream, in the order of their offsets.

    Args:
        subject_of: Whose a record is; None: nobody is asked for.
    """

    def __init__(self, namespace: str, topic: str, partition: int, subject_of: SubjectOf | None = None) -> None:
        self._namespace = namespace
        self._stream = Stream(topic=topic, partition=partition)
        self._records: list[bytes] = []
        self._lines: list[bytes] = []
        self._runs: list[tuple[int, int, int]] = []
        self._sources: Counter[tuple[str, str, str, str, str]] = Counter()
        self._received: list[dt.datetime] = []
        self._bytes = 0
        self._subject_of = subject_of
        self._subjects: list[str] = []

    def add(self, offset: int, content: Content) -> None:
        """Append the records of a message."""
        self._bytes += sum(map(len, content.records))
        self._records.extend(content.records)
        if self._subject_of is not None:
            self._subjects.extend(self._subject_of(content.header, record) for record in content.records)
        count = len(content.records)
        line = MessageLine(offset=offset, n=count, header=content.header, repeats=dict(sorted(content.repeats.items())))
        self._lines.append(_line_encoder.encode(line))
        self._extend_runs(offset, count)
        if content.header is not None:
            header, origin = content.header, content.header.origin
            self._sources[header.format, header.collector, origin.transport, origin.locator, origin.sha256] += count
            self._received.append(header.received_at)

    def month(self, otherwise: dt.datetime) -> str:
        """``YYYY-MM`` of the newest receipt: whose data key it is; of `otherwise` where none is known."""
        return f"{max(self._received, default=otherwise).astimezone(dt.UTC):%Y-%m}"

    def build(
        self,
        tip: Tip,
        *,
        last_offset: int,
        sealed_at: dt.datetime,
        batch: Batch,
        partition: Partition,
        cipher: Cipher | None = None,
        of_subject: Callable[[str], Cipher] | None = None,
        promise: Promise | None = None,
    ) -> SegmentFiles:
        """The segment of everything added so far.

        Args:
            tip: The chain it continues.
            last_offset: Last offset whose records of this namespace were all added.
            sealed_at: Now.
            batch: The segments it is sealed with.
            partition: What is known of the partition up to `last_offset`.
            cipher: Encrypts; None: in the clear.
            of_subject: The cipher of a subject, where people have keys of their own.
            promise: Says until when it is kept; None: nobody does.
        """
        ciphers = self._ciphers(of_subject)
        hashed = self._leaves(cipher, ciphers)
        prefix = stream_prefix(self._namespace, self._stream.topic, self._stream.partition)
        body, leaves, headers = self._parts(f"{prefix}{tip.seq:012d}-", hashed, tip, cipher, ciphers)
        manifest = Manifest(
            v=VERSION if cipher is None else ENCRYPTED_VERSION if ciphers is None else GROUPED_VERSION,
            type="segment",
            namespace=self._namespace,
            stream=self._stream,
            seq=tip.seq,
            covers=Covers(first_offset=tip.first_offset, last_offset=last_offset),
            n=len(self._records),
            bytes=self._bytes,
            root=root_of(hashed).hex(),
            body=body[1],
            leaves=leaves[1],
            headers=headers[1],
            positions=self._runs,
            previous=tip.previous,
            received=self._times(),
            sealed_at=instant(sealed_at),
            sources=self._merged_sources(cipher, len(canonical([self._runs, partition.gaps]))),
            totals=Totals(records=tip.totals.records + len(self._records), bytes=tip.totals.bytes + self._bytes),
            partition=partition,
            batch=batch,
            builder=BUILDER,
            encryption=_encryption(cipher, SCHEME if ciphers is None else GROUPED_SCHEME),
            retention=self._promised(promise, sealed_at),
        )
        return SegmentFiles(
            manifest=manifest,
            key=manifest_key(prefix, tip.seq),
            body=canonical(manifest),
            objects=tuple((part.key, stored) for stored, part in (body, leaves, headers)),
            sealed_under=tuple(sorted({each.key_id for each in (cipher, *(ciphers or ())) if each is not None})),
        )

    def _parts(
        self,
        stem: str,
        hashed: list[bytes],
        tip: Tip,
        cipher: Cipher | None,
        ciphers: Sequence[Cipher | None] | None,
    ) -> tuple[tuple[bytes, Artefact], ...]:
        """Body, leaves and headers."""
        location = Location(self._namespace, self._stream.topic, self._stream.partition, tip.first_offset)
        return (
            self._body(stem, location, cipher, ciphers),
            _part(stem, ".leaves", b"".join(hashed), LEAVES_CODEC),
            self._headers(stem, location, cipher),
        )

    def _ciphers(self, of_subject: Callable[[str], Cipher] | None) -> list[Cipher | None] | None:
        """Of each record its subject's cipher; None where people have no keys of their own."""
        if of_subject is None:
            return None
        known = {subject: of_subject(subject) for subject in dict.fromkeys(self._subjects) if subject}
        return [known.get(subject) for subject in self._subjects]

    def _leaves(self, cipher: Cipher | None, ciphers: Sequence[Cipher | None] | None) -> list[bytes]:
        if cipher is None:
            return list(map(leaf_hash, self._records))
        if ciphers is None:
            return list(map(cipher.leaf, self._records))
        return [(own or cipher).leaf(record) for own, record in zip(ciphers, self._records, strict=True)]

    def _body(
        self, stem: str, location: Location, cipher: Cipher | None, ciphers: Sequence[Cipher | None] | None
    ) -> tuple[bytes, Artefact]:
        packed = frames.pack(self._records) if ciphers is None else grouped.pack(self._records, ciphers, location)
        codec = frames.CODEC if ciphers is None else grouped.CODEC
        return _part(stem, ".ndz", *_sealed(packed, codec, cipher, location.bound("body")))

    def _headers(self, stem: str, location: Location, cipher: Cipher | None) -> tuple[bytes, Artefact]:
        lines = frames.compress(b"".join(line + b"\n" for line in self._lines))
        return _part(stem, ".headers", *_sealed(lines, HEADERS_CODEC, cipher, location.bound("headers")))

    def _extend_runs(self, offset: int, count: int) -> None:
        if self._runs:
            first, messages, records = self._runs[-1]
            if records == count and first + messages == offset:
                self._runs[-1] = (first, messages + 1, records)
                return
        self._runs.append((offset, 1, count))

    def _times(self) -> Times | None:
        if not self._received:
            return None
        return Times(min=instant(min(self._received)), max=instant(max(self._received)))

    def _promised(self, promise: Promise | None, sealed_at: dt.datetime) -> Retention | msgspec.UnsetType:
        told = promise(self._namespace, max([*self._received, sealed_at])) if promise else None
        return msgspec.UNSET if told is None else told

    def _merged_sources(self, cipher: Cipher | None, beside: int) -> Sources:
        """The sources; all of them are named where there is room beside so many bytes."""
        origins = [
            Source(
                format=form,
                collector=collector,
                transport=transport,
                locator=locator,
                sha256=sha256 if cipher is None else cipher.source(sha256),
                records=count,
            )
            for (form, collector, transport, locator, sha256), count in sorted(self._sources.items())
        ]
        listed = canonical(origins)
        fits = beside + len(listed) <= MAX_LISTED_BYTES
        return Sources(count=len(origins), sha256=digest(listed), origins=origins if fits else [])


def _sealed(content: bytes, codec: str, cipher: Cipher | None, bound: bytes) -> tuple[bytes, str]:
    """The stored bytes of a part and their codec."""
    return (content, codec) if cipher is None else (cipher.seal(content, bound), codec + CODEC_SUFFIX)


def _encryption(cipher: Cipher | None, scheme: int) -> Encryption | msgspec.UnsetType:
    return msgspec.UNSET if cipher is None else Encryption(v=scheme, key=cipher.key_id)


def _part(stem: str, ending: str, stored: bytes, codec: str) -> tuple[bytes, Artefact]:
    """The stored bytes of a part and how the manifest names it.

    It is named by what it holds, so that what a crashed or slower sealer left never stands in the way.
    """
    sha256 = digest(stored)
    return stored, Artefact(key=f"{stem}{sha256[:16]}{ending}", sha256=sha256, size=len(stored), codec=codec)
