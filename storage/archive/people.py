"""Finds the records of people who have keys of their own, without reading those of anybody else."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping

import msgspec

from ingest.schema.envelope import Header, Position
from storage.archive import frames, grouped
from storage.archive.chain import Chain
from storage.archive.encryption import Cipher, KeyGone, cipher_of, location_of
from storage.archive.manifest import Manifest
from storage.archive.segment import MessageLine
from storage.archive.store import ArchiveStore
from storage.datakeys.keys import DataKeys
from storage.datakeys.subjects import month_key_of

_line_decoder = msgspec.json.Decoder(MessageLine)


class Belonging(msgspec.Struct, frozen=True, kw_only=True):
    """A record under a subject's key.

    Attributes:
        key: Id of the key.
        manifest: Of its segment.
        header: What its envelope said.
        body: Its exact bytes; None where the key is gone.
    """

    key: str
    position: Position
    manifest: Manifest
    header: Header | None
    body: bytes | None


def records_of_people(
    store: ArchiveStore, namespace: str, wanted: Collection[str], keys: DataKeys
) -> Iterator[Belonging]:
    """The records of a namespace that are sealed under some subjects' keys, wherever they are.

    Args:
        store: The archive.
        namespace: Whose.
        wanted: Ids of the keys; those that are gone, too.
        keys: The data keys.

    Raises:
        IntegrityError: The archive is damaged.
        StoreUnavailable: Call it again.
        ConfigError: A key can't be opened.
    """
    months = {month_key_of(each) for each in wanted}
    for chain in _chains(store, namespace):
        for seq in range(chain.last.seq + 1 if chain.last else 0):
            manifest = chain.manifest(seq)
            # What has a tombstone is gone with its body, and nobody has to erase it.
            concerned = manifest.grouped and _month(manifest) in months
            if concerned and store.get(manifest.body.key) is not None:
                yield from _of_segment(chain, manifest, wanted, keys)


def segments_of(store: ArchiveStore, namespace: str) -> dict[tuple[str, int], int]:
    """How many segments each chain of a namespace has, by topic and partition. Raises as `records_of_people`."""
    return {(chain.topic, chain.partition): chain.last.seq + 1 for chain in _chains(store, namespace) if chain.last}


def sealed_since(
    store: ArchiveStore, namespace: str, seen: Mapping[tuple[str, int], int], months: Collection[str]
) -> Manifest | None:
    """A segment with keys of people of some months that was sealed after `segments_of` had said this; None: none was.

    Raises as `records_of_people`.
    """
    for chain in _chains(store, namespace):
        for seq in range(seen.get((chain.topic, chain.partition), 0), chain.last.seq + 1 if chain.last else 0):
            manifest = chain.manifest(seq)
            if manifest.grouped and _month(manifest) in months:
                return manifest
    return None


def _chains(store: ArchiveStore, namespace: str) -> Iterator[Chain]:
    for topic in store.folders(f"{namespace}/seg/"):
        for partition in sorted(map(int, store.folders(f"{namespace}/seg/{topic}/"))):
            chain = Chain(store, namespace, topic, partition)
            chain.restore()
            yield chain


def _of_segment(chain: Chain, manifest: Manifest, wanted: Collection[str], keys: DataKeys) -> Iterator[Belonging]:
    where, location = manifest.body.key, location_of(manifest)
    try:
        cipher = cipher_of(manifest, keys)
    except KeyGone:
        return  # its month is destroyed, and everybody in it
    if cipher is None:
        return
    body = cipher.open(chain.read(manifest.body), location.bound("body"), where)
    groups = [group for group in grouped.groups_of(body, manifest.n, where) if group.key in wanted]
    if not groups:
        return
    asked = {group.key for group in groups}
    opened = functools.partial(_only, asked, keys, manifest.namespace)
    bodies, _ = grouped.unpack(body, manifest.n, where, opened, location)
    lines = frames.inflate(
        cipher.open(chain.read(manifest.headers), location.bound("headers"), manifest.headers.key), where
    )
    places = list(_places(chain, lines))
    for group in groups:
        for number in group.records:
            position, header = places[number]
            yield Belonging(key=group.key, position=position, manifest=manifest, header=header, body=bodies[number])


def _only(asked: Collection[str], keys: DataKeys, namespace: str, key_id: str) -> Cipher | None:
    """The cipher of a key that was asked for: nobody else's records are opened."""
    return grouped.subject_cipher(keys, namespace, key_id) if key_id in asked else None


def _places(chain: Chain, lines: bytes) -> Iterator[tuple[Position, Header | None]]:
    for line in map(_line_decoder.decode, lines.splitlines()):
        for index in range(line.n):
            yield Position(chain.topic, chain.partition, line.offset, index), line.header


def _month(manifest: Manifest) -> str | None:
    return None if manifest.encryption is msgspec.UNSET else manifest.encryption.key
