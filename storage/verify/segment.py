"""Checks one segment: stored bytes ↔ records ↔ leaves ↔ root ↔ manifest, down to the record."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from storage.verify.differences import differences
from storage.verify.encryption import CODEC_SUFFIX, Opened
from storage.verify.findings import Finding, Kind, Site
from storage.verify.groups import (
    GROUPED_CODEC,
    GROUPED_SCHEME,
    ROOM_PER_RECORD,
    People,
    Run,
    SubjectTable,
    names_by_tag,
    tag_of,
)
from storage.verify.letters import Named, holds_letters, object_of
from storage.verify.people import Person
from storage.verify.reading import MAX_CONTENT, canonical, cut, inflate, leaves_of, root_over, sha256

_CODECS = {"body": "frames+zstd", "leaves": "sha256", "headers": "jsonl+zstd"}
_ENDINGS = {"body": ".ndz", "leaves": ".leaves", "headers": ".headers"}
_ROOM_FOR_INSERTED = 16 * 1024 * 1024  # bytes beyond what the manifest states, to name what was put in
_MAX_RECORDS = 10_000_000  # of a segment: far beyond any honest one; a forged number must not fill the memory


@dataclass(slots=True)
class Segment:
    """A manifest (already of the right shape), where it lies, and a way to read the objects of its folder.

    Args:
        site: Where it is, for the findings.
        read: The bytes of an object by its key, None where there is none.
        key: Data key of an encrypted segment; None where there is none: then what is in it is not looked at.
        announced: Its body and headers may be gone: the ledger says so. Its leaves may not.
        subjects: Directory of the table of subjects' keys; None where there is none.
        shredded: Ids of these keys that are to be destroyed.
        principals: Of whom it is asked whether they are one of these people.

    Attributes:
        closed: It is encrypted, and its key is not here.
        destroyed: After `check`: its body is gone as it was announced.
        people: After `check`: the subjects' keys of which something is to be told.
        compared: After `check`: how many records could be read, and their bytes.
        bodies: After `check`: the whole bodies that its dead letters name.
    """

    manifest: dict[str, Any]
    prefix: str
    site: Site
    read: Callable[[str], bytes | None]
    key: bytes | None = None
    announced: bool = False
    subjects: Path | None = None
    shredded: frozenset[str] = frozenset()
    principals: frozenset[str] = frozenset()
    destroyed: bool = field(init=False, default=False)
    people: list[Person] = field(init=False, default_factory=list)
    compared: tuple[int, int] = field(init=False, default=(0, 0))
    bodies: list[Named] = field(init=False, default_factory=list)
    offsets: list[tuple[int, int]] = field(init=False)
    closed: bool = field(init=False)
    _opened: Opened | None = field(init=False, default=None)
    _people: People | None = field(init=False, default=None)
    _named: dict[str, set[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.closed = "encryption" in self.manifest and self.key is None
        if "encryption" in self.manifest and self.key is not None:
            self._opened = Opened(self.key, self.manifest)
            if self.manifest["encryption"]["v"] == GROUPED_SCHEME:
                namespace, month_key = self.manifest["namespace"], self.manifest["encryption"]["key"]
                table = SubjectTable(self.subjects, namespace, month_key, self.key) if self.subjects else None
                self._people = People(self.manifest, self._opened, table, self.shredded)
                self._named = names_by_tag(self.key, self.principals)
        runs = self.manifest["positions"]
        total = sum(messages * records for _, messages, records in runs)
        honest = total == self.manifest["n"] <= _MAX_RECORDS and all(records for _, _, records in runs)
        self.offsets = [(first + k, n) for first, messages, n in runs for k in range(messages)] if honest else []

    def check(self) -> Iterator[Finding]:
        """Everything that is wrong within this segment."""
        yield from self._positions()
        stored: dict[str, bytes | None] = {}
        sound: set[str] = set()
        for name in ("leaves", "body", "headers"):
            problems = list(self._part(name, stored))
            yield from problems
            if not problems:
                sound.add(name)
        if stored.get("leaves") is not None or stored.get("body") is not None:
            yield from self._records(stored["leaves"], stored["body"], sound)
        if "headers" in sound and stored["headers"] is not None and not self.closed:
            yield from self._headers(stored["headers"])

    def _positions(self) -> Iterator[Finding]:
        """Runs ascend, lie in the covered range, and add up."""
        covers, at = self.manifest["covers"], self.manifest["covers"]["first_offset"]
        total = 0
        for first, messages, records in self.manifest["positions"]:
            if first < at or messages == 0 or records == 0:
                yield self.site.finding(Kind.ALTERED, "positions are not in order", offset=first)
            at = first + messages
            total += messages * records
        if at - 1 > covers["last_offset"]:
            yield self.site.finding(Kind.ALTERED, "positions go beyond the offsets that are covered", offset=at - 1)
        if total != self.manifest["n"]:
            yield self.site.finding(Kind.ALTERED, f"positions tell of {total} records, n is {self.manifest['n']}")

    def _part(self, name: str, stored: dict[str, bytes | None]) -> Iterator[Finding]:
        """An object is there, under the name and with the size and hash that the manifest states."""
        part = self.manifest[name]
        stored[name] = None
        expected = f"{self.prefix}{self.manifest['seq']:012d}-{part['sha256'][:16]}{_ENDINGS[name]}"
        if part["key"] != expected:
            yield self.site.finding(Kind.ALTERED, f"the manifest names {part['key']!r} as {name}")
            return
        encrypted = "encryption" in self.manifest and name != "leaves"
        grouped = encrypted and name == "body" and self.manifest["encryption"]["v"] == GROUPED_SCHEME
        if part["codec"] != (GROUPED_CODEC if grouped else _CODECS[name]) + CODEC_SUFFIX * encrypted:
            yield self.site.finding(Kind.UNCHECKED, f"{name} has the unknown codec {part['codec']!r}", key=part["key"])
            return
        body = self.read(part["key"])
        if body is None and self.announced and name != "leaves":
            self.destroyed |= name == "body"
            return
        if body is None:
            detail = f"the {name} of {self.manifest['n']} records are gone"
            yield self.site.finding(Kind.MISSING, detail, key=part["key"])
            return
        stored[name] = body
        if sha256(body) != part["sha256"] or len(body) != part["size"]:
            yield self.site.finding(Kind.ALTERED, f"the {name} are not the bytes that were sealed", key=part["key"])

    def _records(self, leaves: bytes | None, body: bytes | None, sound: set[str]) -> Iterator[Finding]:
        """The records give the leaves, and the leaves the root; else the records that differ."""
        manifest = self.manifest
        sealed = [leaves[i : i + 32] for i in range(0, len(leaves), 32)] if leaves is not None else None
        if sealed is not None and root_over(sealed) != manifest["root"]:
            if "leaves" in sound:
                yield self.site.finding(Kind.ALTERED, "the leaves do not give the root of the manifest")
            sealed = None
        if self.closed:
            if sealed is not None and len(sealed) != manifest["n"]:
                detail = f"there are {len(sealed)} leaves, the manifest tells of {manifest['n']} records"
                yield self.site.finding(Kind.ALTERED, detail)
            return
        if body is None:
            return
        body, problem = self._decrypted(body, "body")
        if problem and "body" in sound:
            yield self.site.finding(Kind.ALTERED, problem, key=manifest["body"]["key"])
        room = _ROOM_FOR_INSERTED + ROOM_PER_RECORD * manifest["n"] * (self._people is not None)
        content, wrong = inflate(body, manifest["bytes"] + 4 * manifest["n"] + room)
        frames, whole = cut(content)
        wrong = wrong or ("" if whole else "frames are cut")
        runs, unread = self._runs(frames, wrong, len(sealed) if sealed is not None else None)
        if unread:
            detail = f"the index of its groups is {unread}, so no record was compared"
            yield self.site.finding(Kind.ALTERED, detail, key=manifest["body"]["key"])
            return
        yield from self._compared(sealed, runs, trusted=not problem and "body" in sound)

    def _runs(self, frames: list[bytes], wrong: str, count: int | None) -> tuple[Iterator[Run], str]:
        """The records of a body, by the keys that they are under, and why these can't be told apart."""
        if self._people is None:
            made = leaves_of if self._opened is None else self._opened.leaves
            return iter([Run(range(max(count or 0, len(frames))), frames, made, wrong)]), ""
        groups, unread = self._people.index(frames)
        return self._people.runs(groups, frames, wrong, count), unread

    def _compared(self, sealed: list[bytes] | None, runs: Iterator[Run], *, trusted: bool) -> Iterator[Finding]:
        """The records of each run have the leaves that were sealed.

        Args:
            sealed: All leaves; None where they are not those of the root.
            runs: See there.
            trusted: The body is the one that was sealed, so what it tells of keys is true.
        """
        n, size, gone, whole = 0, 0, 0, True
        made: list[tuple[Run, list[bytes]]] = []
        for run in runs:
            if run.kind is not None and trusted:
                self.people.append(self._person(run, run.kind))
            if run.problem and trusted:
                offset, index = self._position(run.numbers[0])
                yield self.site.finding(Kind.ALTERED, run.problem, offset=offset, index=index)
            if run.records is None:
                gone += len(run.numbers)
                continue
            if holds_letters(self.site.topic):
                self._letters(run.numbers, run.records)
            found = run.leaves(run.records)
            n, size, whole = n + len(found), size + sum(map(len, run.records)), whole and not run.wrong
            made.append((replace(run, records=None), found))
        self.compared = n, size
        self.people.sort(key=lambda person: (person.offset or 0, person.index or 0))
        yield from self._numbers(n, size, gone, whole=whole)
        if sealed is None:
            leaves = {number: leaf for run, found in made for number, leaf in zip(run.numbers, found, strict=False)}
            proven = whole and not gone and root_over([leaf for _, leaf in sorted(leaves.items())])
            if proven == self.manifest["root"]:
                return  # the leaf file is damaged, the records are proven
            ends = ", and some of these can't be read" if gone else ""
            detail = f"neither the leaves nor the records give the root of the manifest{ends}"
            yield self.site.finding(Kind.ALTERED, detail)
            return
        for run, found in made:
            yield from self._differences(sealed, found, run)

    def _person(self, run: Run, kind: Kind) -> Person:
        """What is to be told of the key of a run."""
        received = self.manifest["received"]
        times = ((received["min"], received["max"]) if received is not None else None, self.manifest["sealed_at"])
        names = frozenset(self._named.get(tag_of(run.key), ()))
        where = self._position(run.numbers[0])
        return Person(kind, run.key, len(run.numbers), self.site, *where, run.why, times, names)

    def _letters(self, numbers: Sequence[int], records: list[bytes]) -> None:
        """Note which whole bodies dead letters name."""
        for number, record in zip(numbers, records, strict=False):
            if key := object_of(record):
                self.bodies.append(Named(key, self.site, *self._position(number)))

    def _numbers(self, n: int, size: int, gone: int, *, whole: bool) -> Iterator[Finding]:
        """There are as many records, of as many bytes, as the manifest tells; of `gone` the bytes are not known."""
        told = self.manifest["n"], self.manifest["bytes"]
        if whole and (n + gone != told[0] or (size > told[1] if gone else size != told[1])):
            detail = f"there are {n + gone} records of {size} bytes, the manifest tells of {told[0]} of {told[1]}"
            yield self.site.finding(Kind.ALTERED, detail)

    def _decrypted(self, stored: bytes, part: str) -> tuple[bytes, str]:
        """What a part holds, and what is wrong with its encryption."""
        if self._opened is None:
            return stored, ""
        content, authentic = self._opened.content(stored, part)
        return content, "" if authentic else f"the {part} was not sealed here under the data key of the manifest"

    def _differences(self, leaves: list[bytes], found: list[bytes], run: Run) -> Iterator[Finding]:
        """Name the records of a run that are not as sealed."""
        numbers = [number for number in run.numbers if number < len(leaves)]
        sealed = [leaves[number] for number in numbers]
        if not run.wrong:
            steps = list(differences(sealed, found))
        else:
            # The end could not be read: only what stands at its place can be judged.
            steps = [(Kind.ALTERED, i) for i, (a, b) in enumerate(zip(sealed, found, strict=False)) if a != b]
        for kind, step in steps:
            number = numbers[step] if step < len(numbers) else len(leaves)
            offset, index = self._position(number)
            yield self.site.finding(kind, f"record {number} of the segment", offset=offset, index=index)
        if run.wrong and len(found) < len(sealed):
            number = numbers[len(found)]
            offset, index = self._position(number)
            detail = f"from record {number} on, {len(sealed) - len(found)} can't be read: {run.wrong}"
            yield self.site.finding(Kind.ALTERED, detail, offset=offset, index=index)

    def _position(self, number: int) -> tuple[int | None, int | None]:
        """Offset and index of a record by its number in the segment; of what follows the last, those of the last."""
        start = 0
        for offset, records in self.offsets:
            if number < start + records:
                return offset, number - start
            start += records
        if not self.offsets:
            return None, None
        return self.offsets[-1][0], self.offsets[-1][1] - 1

    def _headers(self, stored: bytes) -> Iterator[Finding]:
        """The headers tell of the same messages, sources and times as the manifest."""
        key = self.manifest["headers"]["key"]
        stored, problem = self._decrypted(stored, "headers")
        content, wrong = (b"", problem) if problem else inflate(stored, MAX_CONTENT)
        try:
            offsets, sources, times = _summed(content, str if self._opened is None else self._opened.source)
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            wrong = wrong or repr(exc)
        if wrong:
            yield self.site.finding(Kind.ALTERED, f"the headers can't be read: {wrong}", key=key)
            return
        if offsets != self.offsets:
            yield self.site.finding(Kind.ALTERED, "the headers tell of other messages than the manifest", key=key)
        stated = self.manifest["sources"]
        right = stated["count"] == len(sources) and stated["sha256"] == sha256(canonical(sources))
        if not right or stated["origins"] not in ([], sources):
            yield self.site.finding(Kind.ALTERED, "the headers tell of other sources than the manifest", key=key)
        if self.manifest["received"] != times:
            yield self.site.finding(Kind.ALTERED, "the headers tell of other receive times than the manifest", key=key)


def _summed(
    content: bytes, source_of: Callable[[str], str]
) -> tuple[list[tuple[int, int]], list[dict[str, Any]], dict[str, str] | None]:
    """Messages, merged sources and the span of receive times of a headers object."""
    offsets: list[tuple[int, int]] = []
    counts: Counter[tuple[str, ...]] = Counter()
    times: list[dt.datetime] = []
    for text in content.split(b"\n")[:-1]:
        line = json.loads(text)
        offsets.append((line["offset"], line["n"]))
        header = line["header"]
        if header is not None:
            origin = header["origin"]
            named = (header["format"], header["collector"], origin["transport"], origin["locator"], origin["sha256"])
            counts[named] += line["n"]
            times.append(dt.datetime.fromisoformat(header["received_at"]).astimezone(dt.UTC))
    names = ("format", "collector", "transport", "locator", "sha256")
    sources = [
        {**dict(zip(names, (*named[:-1], source_of(named[-1])), strict=True)), "records": n}
        for named, n in sorted(counts.items())
    ]
    if not times:
        return offsets, sources, None
    first, last = (f"{time:%Y-%m-%dT%H:%M:%S.%f}Z" for time in (min(times), max(times)))
    return offsets, sources, {"min": first, "max": last}
