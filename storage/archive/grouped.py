"""Encryption of a segment, scheme 2: as scheme 1, and each person's records under a key of their own.

Of the frames that the body's zstd frame holds (`storage.archive.frames`), the first is an index, canonical JSON::

    {"groups":[{"key":"<id of a subject's key>","records":[0,3,4]}]}

Then one frame per group, in that order: nonce ‖ AES-256-GCM under the subject's key of the group's records, packed and
compressed as a body of scheme 1 is, with ``subject <id>`` as part in the associated data. Then the records of nobody,
in order. All of it is encrypted under the month's key, as in scheme 1. The leaf of a person's record is made with the
person's key; so when that key is gone, nothing of the record can be read or guessed, and tree and chain stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import msgspec

from ingest.schema.errors import IntegrityError
from storage.archive import frames
from storage.archive.encryption import Cipher, Location
from storage.archive.manifest import canonical
from storage.datakeys.keys import DataKeys

CODEC = "subjects+frames+zstd"

CipherOf = Callable[[str], Cipher | None]
"""Id of a subject's key → its cipher; None where the key is gone."""


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The records of one subject, by their ordinals in the segment."""

    key: str
    records: tuple[int, ...]


class _Index(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    groups: tuple[Group, ...]


def pack(records: Sequence[bytes], ciphers: Sequence[Cipher | None], location: Location) -> bytes:
    """The body of these records before it is encrypted under the month's key.

    Args:
        records: Their exact bytes.
        ciphers: Of each its subject's; None: it is of nobody.
        location: Where the segment is.
    """
    members: dict[str, list[int]] = {}
    cipher_of: dict[str, Cipher] = {}
    for number, cipher in enumerate(ciphers):
        if cipher is not None:
            members.setdefault(cipher.key_id, []).append(number)
            cipher_of[cipher.key_id] = cipher
    index = _Index(groups=tuple(Group(key=key, records=tuple(members[key])) for key in sorted(members)))
    sealed = [
        cipher_of[group.key].seal(frames.pack(records[n] for n in group.records), location.bound(_part(group.key)))
        for group in index.groups
    ]
    rest = [record for record, cipher in zip(records, ciphers, strict=True) if cipher is None]
    return frames.pack([canonical(index), *sealed, *rest])


def groups_of(body: bytes, count: int, where: str) -> tuple[Group, ...]:
    """The groups of a body that was decrypted; `count` is how many records it has.

    Raises:
        IntegrityError: The bytes are not such a body.
    """
    return _read(body, count, where)[0]


def unpack(
    body: bytes, count: int, where: str, cipher_of: CipherOf, location: Location
) -> tuple[list[bytes | None], list[Group]]:
    """The records of a body that was decrypted, and the groups whose key is gone: their records are None.

    Raises:
        IntegrityError: The bytes are not such a body, or a group is damaged.
    """
    groups, sealed, rest = _read(body, count, where)
    records: list[bytes | None] = [None] * count
    gone: list[Group] = []
    for group, stored in zip(groups, sealed, strict=True):
        cipher = cipher_of(group.key)
        if cipher is None:
            gone.append(group)
            continue
        opened = frames.unpack(cipher.open(stored, location.bound(_part(group.key)), where), where)
        if len(opened) != len(group.records):
            raise IntegrityError("reading segment body: a group has other records than its index tells", where=where)
        for number, record in zip(group.records, opened, strict=True):
            records[number] = record
    grouped = {number for group in groups for number in group.records}
    for number, record in zip((n for n in range(count) if n not in grouped), rest, strict=True):
        records[number] = record
    return records, gone


def subject_cipher(keys: DataKeys | None, namespace: str, key_id: str) -> Cipher | None:
    """The cipher of a subject's key; None where the key is gone. Raises as `DataKeys.opened`."""
    key = keys.opened(namespace, key_id) if keys is not None else None
    return Cipher(key) if key is not None else None


def _read(body: bytes, count: int, where: str) -> tuple[tuple[Group, ...], list[bytes], list[bytes]]:
    """Groups, their sealed frames, and the records of nobody."""
    parts = frames.unpack(body, where)
    try:
        groups = msgspec.json.decode(parts[0] if parts else b"", type=_Index).groups
    except msgspec.MsgspecError as exc:
        raise IntegrityError(f"reading segment body: its index of groups: {exc}", where=where) from exc
    sealed, rest = parts[1 : 1 + len(groups)], parts[1 + len(groups) :]
    taken = sorted(number for group in groups for number in group.records)
    if len(sealed) != len(groups) or len(taken) + len(rest) != count or not _are_numbers(taken, count):
        raise IntegrityError("reading segment body: its index contradicts what follows", where=where)
    return groups, sealed, rest


def _are_numbers(taken: Iterable[int], count: int) -> bool:
    """Whether ordinals, sorted, are of records and each there once."""
    numbers = list(taken)
    return all(0 <= number < count for number in numbers) and all(a < b for a, b in pairwise(numbers))


def _part(key_id: str) -> str:
    return f"subject {key_id}"
