"""Reads the groups of a segment of scheme 2 from its description (docs/integrity.md): people with keys of their own.

Nothing here believes what it reads: what is no index, or contradicts what follows it, gives a reason and no error.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.verify.encryption import Opened, derived
from storage.verify.findings import Kind
from storage.verify.reading import MAX_CONTENT, canonical, cut, document, inflate

GROUPED_SCHEME = 2
GROUPED_CODEC = "subjects+frames+zstd"
ROOM_PER_RECORD = 256  # bytes of a body besides a record's own: its own group, in the worst case
_ROOM = 64 * 1024
_LARGEST_INDEX = 128 * 1024 * 1024
_TAG_DIGITS, _SUFFIX_DIGITS = 24, 8
_TAG_AND_SUFFIX = re.compile(r"-[0-9a-f]{24}-[0-9a-f]{8}")
_SHARD_DIGITS = 3
_NONCE = 12
_ENTRY_SHAPE: dict[str, object] = {"v": "number", "id": "text", "wrapped": "text"}


@dataclass(frozen=True, slots=True)
class Group:
    """The id of a subject's key, and the numbers of its records in the segment, ascending."""

    key: str
    records: tuple[int, ...]


def read_index(raw: bytes, count: int, month_key: str) -> tuple[list[Group], str]:
    """The groups of an index, or none and what is wrong with it.

    Args:
        raw: The first frame of a body.
        count: Records of the segment, as its manifest tells.
        month_key: Id of the key that the segment is sealed under.
    """
    if len(raw) > min(_ROOM + ROOM_PER_RECORD * count, _LARGEST_INDEX):
        return [], "larger than that of so many records can be"
    value, wrong = document(raw, None)
    if value is None:
        return [], wrong
    listed = value.get("groups")
    if value.keys() != {"groups"} or not isinstance(listed, list) or not all(map(_is_group, listed)):
        return [], "not of the right shape"
    taken: set[int] = set()
    for each in listed:
        numbers = each["records"]
        if not is_subject_key(each["key"], month_key):
            return [], f"forged: it names the key {each['key'][:100]!r}, which is none of its month"
        if numbers[0] < 0 or numbers[-1] >= count or any(a >= b for a, b in pairwise(numbers)):
            return [], "forged: the records of a group are not in order, or not of this segment"
        if not taken.isdisjoint(numbers):
            return [], "forged: two groups have one record"
        taken.update(numbers)
    return [Group(each["key"], tuple(each["records"])) for each in listed], ""


def is_subject_key(key_id: str, month_key: str) -> bool:
    """Whether an id is that of a subject's key under a month's key."""
    rest = key_id.removeprefix(month_key)
    return key_id.startswith(month_key) and _TAG_AND_SUFFIX.fullmatch(rest) is not None


def tag_of(key_id: str) -> str:
    """What the id of a subject's key tells of its person."""
    return key_id[-_SUFFIX_DIGITS - 1 - _TAG_DIGITS :][:_TAG_DIGITS]


def names_by_tag(month_key: bytes, names: Iterable[str]) -> dict[str, set[str]]:
    """The names of people by the tags that their keys under a month's key have, in each of their `spellings`."""
    made: dict[str, set[str]] = {}
    secret = derived(month_key, "subject tags")
    for name in names:
        for spelling in spellings(name):
            tag = hmac.new(secret, spelling.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[:_TAG_DIGITS]
            made.setdefault(tag, set()).add(name)
    return made


def spellings(name: str) -> set[str]:
    """How records may spell the key of somebody whom a hold names in other upper and lower case.

    A tag is of one spelling and tells none, so not all can be tried. These are those of clouds: whose key it is, in
    lower case, then an id as it was typed, or all in lower case (GUID, OCID, most e-mail addresses) or in upper (AWS).
    """
    start, colon, rest = name.partition(":")
    made = {name, *(start.lower() + colon + each for each in (rest, rest.lower(), rest.upper()))}
    return {each for each in made if each.casefold() == name.casefold()}


def _is_group(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"key", "records"}
        and isinstance(value["key"], str)
        and isinstance(value["records"], list)
        and len(value["records"]) > 0
        and all(type(number) is int for number in value["records"])
    )


@dataclass(frozen=True, slots=True)
class SubjectTable:
    """The subjects' keys of a month of a namespace.

    Args:
        directory: The whole table.
        namespace: Whose.
        month_key: Id of the month's key, of a form that was checked.
        key: The month's key.
    """

    directory: Path
    namespace: str
    month_key: str
    key: bytes = field(repr=False)

    def opened(self, key_id: str) -> bytes | None:
        """A key of 32 bytes; None where the table has none of this id.

        Raises:
            OSError: There is no such table, or the key can't be opened: nothing is known about it.
        """
        shard = key_id[len(self.month_key) + 1 :][:_SHARD_DIGITS]
        place = self.directory / self.namespace / self.month_key / shard / key_id
        try:
            raw = place.read_bytes()
        except FileNotFoundError:
            if self.directory.is_dir():
                return None
            raise OSError(None, f"there is no directory {self.directory}") from None
        return self._unwrapped(raw, key_id, place)

    def left(self, key_id: str) -> bytes | None:
        """A key of which a writer that died left a copy beside the table. Raises as `opened`."""
        staging = self.directory / ".staging"
        for place in sorted(staging.iterdir()) if staging.is_dir() else ():
            raw = place.read_bytes()
            if key_id.encode() in raw:
                return self._unwrapped(raw, key_id, place)
        return None

    def _unwrapped(self, raw: bytes, key_id: str, place: Path) -> bytes:
        entry, wrong = document(raw, _ENTRY_SHAPE)
        if entry is None:
            raise OSError(None, f"it is {wrong}", str(place))
        bound = canonical({"purpose": "skytrail archive subject", "namespace": self.namespace, "id": key_id})
        try:
            wrapped = base64.b64decode(entry["wrapped"], validate=True)
            return AESGCM(derived(self.key, "subject keys")).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], bound)
        except (binascii.Error, ValueError, InvalidTag):
            raise OSError(None, "it is not wrapped under the key of its month", str(place)) from None


@dataclass(frozen=True, slots=True)
class Run:
    """Records of a body that are under one key, in their order.

    Attributes:
        numbers: Of which records of the segment.
        records: Their bytes; None where nobody here can read them.
        leaves: Makes the leaves of records.
        wrong: Why the end of them can't be read; empty: it can.
        problem: What is wrong with their encryption.
        key: Id of the subject's key; empty: they are of nobody.
        kind: What is to be told of that key; None: nothing.
        why: In words, where nothing is known of the key.
    """

    numbers: Sequence[int]
    records: list[bytes] | None
    leaves: Callable[[list[bytes]], list[bytes]]
    wrong: str = ""
    problem: str = ""
    key: str = ""
    kind: Kind | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class One:
    """One record, where it can be read, and the key that it is under; else see `Run`."""

    record: bytes | None
    opened: Opened | None
    key: str = ""
    kind: Kind | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class People:
    """Opens the groups of a segment.

    Args:
        manifest: Of the segment.
        opened: The month's key.
        table: The subjects' keys; None: whoever asks has none.
        shredded: Ids of subjects' keys that are to be destroyed, as a sound ledger says.
    """

    manifest: dict[str, Any]
    opened: Opened
    table: SubjectTable | None = None
    shredded: frozenset[str] = frozenset()

    def index(self, frames: Sequence[bytes]) -> tuple[list[Group], str]:
        """The groups of a body by its frames; see `read_index`."""
        if not frames:
            return [], "not there"
        return read_index(frames[0], self.manifest["n"], self.manifest["encryption"]["key"])

    def runs(self, groups: Sequence[Group], frames: Sequence[bytes], wrong: str, count: int | None) -> Iterator[Run]:
        """The records, group by group, those of nobody last.

        Args:
            groups: Of `index`.
            frames: Of the body.
            wrong: Why the end of the frames can't be read.
            count: Records of the segment by its leaves; None: as many as there are in the body.
        """
        stored = frames[1 : 1 + len(groups)]
        for number, group in enumerate(groups):
            if number < len(stored):
                yield self._group(group, stored[number])
            else:
                yield Run(group.records, [], self.opened.leaves, wrong or "its group is not there", key=group.key)
        taken = {number for group in groups for number in group.records}
        rest = list(frames[1 + len(groups) :])
        numbers = range(len(taken) + len(rest) if count is None else count)
        yield Run([number for number in numbers if number not in taken], rest, self.opened.leaves, wrong)

    def record(self, groups: Sequence[Group], frames: Sequence[bytes], number: int) -> One:
        """One record of a body by its number; `groups` and `frames` as for `runs`."""
        group = next((each for each in groups if number in each.records), None)
        if group is None:
            before = sum(1 for each in groups for taken in each.records if taken < number)
            at = 1 + len(groups) + number - before
            return One(frames[at] if at < len(frames) else None, self.opened)
        opened, kind, why = self.key_of(group.key)
        at = 1 + groups.index(group)
        if opened is None or at >= len(frames):
            return One(None, opened, group.key, kind, why)
        content, _ = opened.content(frames[at], f"subject {group.key}")
        records, _ = records_in(content, self.manifest)
        own = group.records.index(number)
        return One(records[own] if own < len(records) else None, opened, group.key, kind, why)

    def key_of(self, key_id: str) -> tuple[Opened | None, Kind | None, str]:
        """A subject's key, what is to be told of it, and why nothing is known of it."""
        shredded = key_id in self.shredded
        try:
            key = self.table.opened(key_id) if self.table is not None else None
            if key is None and shredded and self.table is not None:
                key = self.table.left(key_id)
        except OSError as exc:
            return None, Kind.UNCHECKED, exc.strerror or str(exc)
        if self.table is None:
            return None, Kind.UNCHECKED, "no table of these is here"
        if key is None:
            return None, Kind.ERASED if shredded else Kind.MISSING, ""
        return Opened(key, self.manifest), Kind.KEPT if shredded else None, ""

    def _group(self, group: Group, stored: bytes) -> Run:
        opened, kind, why = self.key_of(group.key)
        if opened is None:
            return Run(group.records, None, self.opened.leaves, key=group.key, kind=kind, why=why)
        content, authentic = opened.content(stored, f"subject {group.key}")
        problem = "" if authentic else f"the group of the key {group.key} was not sealed here under that key"
        records, wrong = records_in(content, self.manifest)
        return Run(group.records, records, opened.leaves, wrong, problem, group.key, kind, why)


def records_in(content: bytes, manifest: dict[str, Any]) -> tuple[list[bytes], str]:
    """The records of a group that was decrypted, as many as can be had, and what is wrong with the rest."""
    limit = min(manifest["bytes"] + 4 * manifest["n"] + _ROOM, MAX_CONTENT)
    frames, wrong = inflate(content, limit)
    records, whole = cut(frames)
    return records, wrong or ("" if whole else "frames are cut")
