"""Reads records back out of the archive, exactly as they were received, with what their envelopes said."""

from __future__ import annotations

import datetime as dt
import functools
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterator, Sequence

import msgspec

from ingest.schema.envelope import Header, Position
from ingest.schema.errors import IntegrityError
from storage.archive import frames, grouped
from storage.archive.chain import Chain
from storage.archive.encryption import KeyGone, Location, cipher_of, location_of
from storage.archive.manifest import Manifest, instant
from storage.archive.segment import MessageLine
from storage.archive.store import ArchiveStore
from storage.datakeys.keys import DataKeys

_line_decoder = msgspec.json.Decoder(MessageLine)


Destroyed = Callable[[str], Container[tuple[str, int, int]]]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed record.

    Attributes:
        body: Its exact bytes.
        header: What its envelope said; None for unreadable messages and dead letters.
        repeat: How often the same bytes occurred before in the same collected body.
    """

    position: Position
    namespace: str
    body: bytes
    header: Header | None
    repeat: int


class ArchiveReader:
    """Reads an archive that may be growing; holds one segment in memory.

    Every part is compared with the hash in its manifest. That is not a verification: `storage.verify` is.

    Args:
        store: Where it lies.
        keys: Data keys of encrypted segments.
        destroyed: Topic, partition and number of the segments of a namespace that may be gone, as its ledger says.

    Attributes:
        erased: Records that were passed over because their data key is gone, by its id.
    """

    def __init__(self, store: ArchiveStore, keys: DataKeys | None = None, destroyed: Destroyed = lambda _: ()) -> None:
        self.erased: Counter[str] = Counter()
        self._destroyed = destroyed
        self._store = store
        self._keys = keys
        self._asked: Chain | None = None

    def namespaces(self) -> list[str]:
        """The namespaces that have sealed records."""
        return [name for name in self._store.folders("") if self._store.folders(f"{name}/seg/")]

    def records(
        self,
        namespace: str,
        *,
        topics: Collection[str] = (),
        formats: Collection[str] = (),
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> Iterator[Record]:
        """Records of a namespace: topic by topic, partition by partition, in the order of their offsets.

        Args:
            namespace: Whose.
            topics: Only of these topics; empty: of all.
            formats: Only these formats; empty: all, and records without a header too.
            since: Only received at or after this.
            until: Only received before this. Records of which the receive time is unknown pass both.

        Raises:
            IntegrityError: The archive is damaged.
            ConfigError: A segment is encrypted, and its data key can't be opened.
        """
        destroyed = self._destroyed(namespace)
        for chain in self._chains(namespace):
            if topics and chain.topic not in topics:
                continue
            for seq in range(chain.last.seq + 1 if chain.last else 0):
                manifest = chain.manifest(seq)
                if not _overlaps(manifest, since, until):
                    continue
                announced = (chain.topic, chain.partition, seq) in destroyed
                if announced and self._store.get(manifest.body.key) is None:
                    continue
                for record in self._readable(chain, manifest):
                    if _wanted(record.header, formats, since, until):
                        yield record

    def ends(self, namespace: str) -> dict[tuple[str, int], int]:
        """Newest sealed offset of a namespace by topic and partition.

        Raises:
            IntegrityError: The archive is damaged.
        """
        return {
            (chain.topic, chain.partition): chain.last.covers.last_offset
            for chain in self._chains(namespace)
            if chain.last is not None
        }

    def record_at(self, position: Position) -> Record | None:
        """The record at a position, whichever namespace it is in; None where the archive has none.

        Raises:
            IntegrityError: The archive is damaged.
        """
        for namespace in self._store.folders(""):
            chain = Chain(self._store, namespace, position.topic, position.partition)
            chain.restore()
            manifest = chain.find(position.offset)
            if manifest is None or manifest.span_of(position.offset) is None:
                continue
            return next((record for record in self._readable(chain, manifest) if record.position == position), None)
        return None

    def gone_key(self, namespace: str, position: Position) -> str | None:
        """The id of the data key that is gone and without which a sealed record can't be read; None: there is none.

        Raises:
            IntegrityError: The archive is damaged.
            ConfigError: The segment is encrypted, and its data key can't be opened.
        """
        chain, place = self._asked, (namespace, position.topic, position.partition)
        if chain is None or (chain.namespace, chain.topic, chain.partition) != place:
            chain = self._asked = Chain(self._store, *place)
            chain.restore()
        manifest = chain.find(position.offset)
        span = manifest.span_of(position.offset) if manifest is not None else None
        if manifest is None or span is None or position.index >= span[1]:
            return None
        return chain.gone_key(manifest, span[0] + position.index, self._keys)

    def _readable(self, chain: Chain, manifest: Manifest) -> Iterator[Record]:
        try:
            yield from _records_of(chain, manifest, self._keys, self.erased)
        except KeyGone as exc:
            self.erased[str(exc)] += manifest.n

    def _chains(self, namespace: str) -> Iterator[Chain]:
        for topic in self._store.folders(f"{namespace}/seg/"):
            for partition in sorted(map(int, self._store.folders(f"{namespace}/seg/{topic}/"))):
                chain = Chain(self._store, namespace, topic, partition)
                chain.restore()
                yield chain


def _records_of(chain: Chain, manifest: Manifest, keys: DataKeys | None, erased: Counter[str]) -> Iterator[Record]:
    """The records of a segment, in order, but for those whose subject's key is gone: these are counted."""
    where = manifest.body.key
    cipher, location = cipher_of(manifest, keys), location_of(manifest)
    body, lines_stored = chain.read(manifest.body), chain.read(manifest.headers)
    if cipher is not None:
        body = cipher.open(body, location.bound("body"), where)
        lines_stored = cipher.open(lines_stored, location.bound("headers"), manifest.headers.key)
    bodies = _bodies(body, manifest, keys, location, erased)
    headers = frames.inflate(lines_stored, manifest.headers.key)
    lines = [_line_decoder.decode(line) for line in headers.splitlines()]
    if [(line.offset, line.n) for line in lines] != manifest.offsets() or len(bodies) != manifest.n:
        raise IntegrityError("reading segment: its parts contradict its manifest", where=where)
    at = iter(bodies)
    for line in lines:
        for index in range(line.n):
            record = next(at)
            if record is None:
                continue
            yield Record(
                position=Position(chain.topic, chain.partition, line.offset, index),
                namespace=chain.namespace,
                body=record,
                header=line.header,
                repeat=line.repeats.get(index, 0),
            )


def _bodies(
    body: bytes, manifest: Manifest, keys: DataKeys | None, location: Location, erased: Counter[str]
) -> Sequence[bytes | None]:
    """The records of a body that was decrypted; None for those whose subject's key is gone."""
    where = manifest.body.key
    if not manifest.grouped:
        return frames.unpack(body, where)
    cipher_of = functools.partial(grouped.subject_cipher, keys, manifest.namespace)
    bodies, gone = grouped.unpack(body, manifest.n, where, cipher_of, location)
    erased.update({group.key: len(group.records) for group in gone})
    return bodies


def _overlaps(manifest: Manifest, since: dt.datetime | None, until: dt.datetime | None) -> bool:
    """Whether a segment can hold records of the time range; one of headerless messages always can.

    Those are of a namespace (`unreadable`) or a topic (dead letters) of their own, so no segment has both kinds.
    """
    if manifest.received is None:
        return True
    return not (
        (since is not None and manifest.received.max < instant(since))
        or (until is not None and manifest.received.min >= instant(until))
    )


def _wanted(
    header: Header | None, formats: Collection[str], since: dt.datetime | None, until: dt.datetime | None
) -> bool:
    if header is None:
        return not formats
    return (
        (not formats or header.format in formats)
        and (since is None or header.received_at >= since)
        and (until is None or header.received_at < until)
    )
