"""The manifest: what a sealed segment says about itself, and where its parts lie.

There is one chain of segments per namespace, topic and partition. A manifest is the commit point of its segment: parts
are written before it, and its key holds nothing but the sequence number, so of two sealers exactly one can win it.

Canonical form: JSON (RFC 8259) in UTF-8 without spaces, keys sorted, only what must be escaped escaped, only integers.
`previous` and the coming ledger hash exactly these bytes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json

import msgspec

from ingest.schema.errors import IntegrityError

VERSION = 1
ENCRYPTED_VERSION = 2
GROUPED_VERSION = 3
SCHEME = 1  # of encryption, see `storage.archive.encryption`
GROUPED_SCHEME = 2  # see `storage.archive.grouped`
MANIFEST_SUFFIX = ".manifest.json"


_SCHEMES = {VERSION: None, ENCRYPTED_VERSION: SCHEME, GROUPED_VERSION: GROUPED_SCHEME}


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what a manifest is made of."""


class Stream(_Part, frozen=True, kw_only=True):
    """Which partition a chain follows."""

    topic: str
    partition: int


class Covers(_Part, frozen=True, kw_only=True):
    """The offsets, both included, of which this chain holds every record of its namespace."""

    first_offset: int
    last_offset: int


class Artefact(_Part, frozen=True, kw_only=True):
    """An object of this segment: key, hex SHA-256 and size of the stored bytes, and how to read them."""

    key: str
    sha256: str
    size: int
    codec: str


class Source(_Part, frozen=True, kw_only=True):
    """Where records came from, and how many."""

    format: str
    collector: str
    transport: str
    locator: str
    sha256: str
    records: int


class Sources(_Part, frozen=True, kw_only=True):
    """The sources of a segment.

    `sha256` is over the canonical list; the list itself is left out where it would make the manifest too large. Then it
    follows from the segment's headers, which always have everything.
    """

    count: int
    sha256: str
    origins: list[Source]


class Times(_Part, frozen=True, kw_only=True):
    """First and last receive time, `YYYY-MM-DDThh:mm:ss.ffffffZ`."""

    min: str
    max: str


class Totals(_Part, frozen=True, kw_only=True):
    """Records and bytes of the chain up to and with this segment."""

    records: int
    bytes: int


class Partition(_Part, frozen=True, kw_only=True):
    """What is known of the whole partition, of all namespaces.

    Attributes:
        start: The first offset the sealer was ever given.
        gaps: Ranges, both ends included, that Kafka never delivered after `start`: the archive lacks their records.
    """

    start: int
    gaps: list[tuple[int, int]]


class Batch(_Part, frozen=True, kw_only=True):
    """The segments, one per namespace, that were sealed together.

    Everything before `first_offset` was sealed earlier; everything up to `last_offset` is sealed when there are
    `parts` manifests of this batch. A restart tells by this a finished batch from one cut in the middle.
    """

    first_offset: int
    last_offset: int
    parts: int


class Encryption(_Part, frozen=True, kw_only=True):
    """How body and headers are encrypted and leaves are made, and the id of the data key."""

    v: int
    key: str


class Retention(_Part, frozen=True, kw_only=True):
    """What was promised when it was sealed: see `storage.retention.stamping`.

    Attributes:
        policy: Hex SHA-256 of the policy in force.
        class_name: `class` in the manifest: of that policy.
        retain_until: Up to when at least it is kept.
    """

    policy: str
    class_name: str = msgspec.field(name="class")
    retain_until: str


class Builder(_Part, frozen=True, kw_only=True):
    """The program that sealed."""

    product: str
    version: str


class Manifest(_Part, frozen=True, kw_only=True):
    """One segment.

    Attributes:
        positions: Runs ``[offset, messages, records]``: that many messages at consecutive offsets with that many
            records each, indices from 0. In order they give (offset, index) of every record; a message is never cut.
        root: Hex RFC 6962 root over the leaves.
        bytes: Bytes of the records together.
        previous: Hex SHA-256 of the previous manifest; None for the first.
        headers: One line of JSON per message: what its envelope's header said.
        received: None where nothing is known.
        encryption: In manifests of version 2 of scheme 1, of version 3 of scheme 2; those of version 1 are of segments
            in the clear.
        retention: Only where a class of the adopted policy spoke of it.
    """

    v: int
    type: str
    namespace: str
    stream: Stream
    seq: int
    covers: Covers
    n: int
    bytes: int
    root: str
    body: Artefact
    leaves: Artefact
    headers: Artefact
    positions: list[tuple[int, int, int]]
    previous: str | None
    received: Times | None
    sealed_at: str
    sources: Sources
    totals: Totals
    partition: Partition
    batch: Batch
    builder: Builder
    encryption: Encryption | msgspec.UnsetType = msgspec.UNSET
    retention: Retention | msgspec.UnsetType = msgspec.UNSET

    @property
    def grouped(self) -> bool:
        """Whether people have keys of their own in it."""
        return self.encryption is not msgspec.UNSET and self.encryption.v == GROUPED_SCHEME

    def span_of(self, offset: int) -> tuple[int, int] | None:
        """Ordinal in this segment of the first record of a message, and how many it has; None if it has none here."""
        start = 0
        for first, messages, records in self.positions:
            if first <= offset < first + messages:
                return start + (offset - first) * records, records
            start += messages * records
        return None

    def offsets(self) -> list[tuple[int, int]]:
        """Offset and number of records of every message, in order."""
        return [(first + k, records) for first, messages, records in self.positions for k in range(messages)]


def canonical(value: object) -> bytes:
    """The canonical JSON of a manifest or a part of one."""
    plain = msgspec.to_builtins(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(body: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(body).hexdigest()


def parse(body: bytes, where: str) -> Manifest:
    """Read a manifest.

    Raises:
        IntegrityError: It is none of this version.
    """
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise IntegrityError(f"reading manifest: {exc}", where=where) from exc
    scheme = None if manifest.encryption is msgspec.UNSET else manifest.encryption.v
    if manifest.type != "segment" or _SCHEMES.get(manifest.v, -1) != scheme:
        raise IntegrityError(
            f"reading manifest: type {manifest.type!r} version {manifest.v} is unknown to this build",
            where=where,
            mend="upgrade this worker; do not delete anything",
        )
    return manifest


def stream_prefix(namespace: str, topic: str, partition: int) -> str:
    """Where the chain of a stream lies."""
    return f"{namespace}/seg/{topic}/{partition}/"


def manifest_key(prefix: str, seq: int) -> str:
    """Key of a manifest: nothing but its number, so that two sealers compete for it."""
    return f"{prefix}{seq:012d}{MANIFEST_SUFFIX}"


def instant(time: dt.datetime) -> str:
    """A time in UTC with microseconds."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
