"""Checks a filesystem archive from its bytes alone, sharing no code with what wrote it.

It finds what was altered, taken out, put in or put elsewhere, in a segment, in a chain and among whole objects, and
names the record. Memory is bounded by one segment and the names in one folder.

What it can't see, because no ledger outside of these files vouches for them yet: the end of a chain cut off together
with its ``head.json``, a chain or a namespace removed as a whole, a whole object removed, and a history rewritten from
some segment to the end. An archive that is being written to is fine: a batch that is not finished is not yet there.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from storage.verify.findings import Finding, Kind, Progress, Summary
from storage.verify.reading import HEAD_SHAPE, MANIFEST_SHAPE, document, sha256
from storage.verify.segment import Segment

_MANIFEST = re.compile(r"([0-9]{12})\.manifest\.json")
_PART = re.compile(r"[0-9]{12}-[0-9a-f]{16}\.(ndz|leaves|headers)")
_OBJECT = re.compile(r"[0-9a-f]{64}")
_HEAD = "head.json"
_CHUNK = 1024 * 1024


def check(store_root: Path, summary: Summary | None = None, progress: Progress | None = None) -> Iterator[Finding]:
    """Everything that is wrong with an archive, as it is found.

    Args:
        store_root: Root of the filesystem store.
        summary: Is brought up to date while the findings are consumed; complete when they end.
        progress: Called after every segment and object.
    """
    counts = summary if summary is not None else Summary()
    for finding in _archive(store_root, counts, progress or (lambda _: None)):
        counts.findings += 1
        counts.unchecked += finding.kind is Kind.UNCHECKED
        yield finding


def _archive(root: Path, summary: Summary, progress: Progress) -> Iterator[Finding]:
    try:
        names = _names(root)
    except OSError as exc:
        yield Finding(kind=Kind.UNCHECKED, detail=f"there is no archive to read: {exc.strerror}", key=str(root))
        return
    for namespace in names:
        if namespace.startswith("."):
            continue  # working files of the store
        if not (root / namespace).is_dir():
            yield Finding(kind=Kind.INSERTED, detail="not part of an archive", key=namespace)
            continue
        try:
            yield from _namespace(root, namespace, summary, progress)
        except OSError as exc:
            detail = f"reading: {exc.strerror}"
            yield Finding(kind=Kind.UNCHECKED, detail=detail, key=str(exc.filename), namespace=namespace)


def _namespace(root: Path, namespace: str, summary: Summary, progress: Progress) -> Iterator[Finding]:
    for name in _names(root / namespace):
        if name == "obj":
            yield from _objects(root, namespace, summary, progress)
        elif name == "seg":
            for folder in sorted((root / namespace / "seg").glob("*/*")):
                yield from _Stream(root, folder, summary, progress).check()
        else:
            detail = "not part of an archive"
            yield Finding(kind=Kind.INSERTED, detail=detail, key=f"{namespace}/{name}", namespace=namespace)


def _objects(root: Path, namespace: str, summary: Summary, progress: Progress) -> Iterator[Finding]:
    """The name of a whole object is the hash of its bytes."""
    for name in _names(root / namespace / "obj"):
        key = f"{namespace}/obj/{name}"
        if not _OBJECT.fullmatch(name):
            yield Finding(kind=Kind.INSERTED, detail="not an object", key=key, namespace=namespace)
            continue
        hasher = hashlib.sha256()
        with (root / key).open("rb") as file:
            while chunk := file.read(_CHUNK):
                hasher.update(chunk)
        summary.objects += 1
        if hasher.hexdigest() != name:
            yield Finding(kind=Kind.ALTERED, detail="not the bytes its name tells", key=key, namespace=namespace)
        progress(summary)


class _Stream:
    """Checks the chain of one namespace in one partition."""

    def __init__(self, root: Path, folder: Path, summary: Summary, progress: Progress) -> None:
        self._root = root
        self._summary = summary
        self._progress = progress
        self._prefix = folder.relative_to(root).as_posix() + "/"
        self._namespace, _, self._topic, number, _ = self._prefix.split("/")
        self._partition = int(number) if number.isdecimal() else None
        # The hint is read before the names, so that a chain which is growing never seems to be cut off.
        self._hint = self._read(self._prefix + _HEAD)
        self._names = set(_names(folder))
        self._numbers = {int(match[1]) for name in self._names if (match := _MANIFEST.fullmatch(name))}
        self._named: set[str] = set()
        self._last: dict[str, Any] | None = None  # the last manifest that could be read
        self._last_digest: str | None = None
        self._digests: dict[int, str] = {}

    def check(self) -> Iterator[Finding]:
        """Every finding of this chain."""
        self._summary.streams += 1
        head, problems = self._head()
        yield from problems
        for seq in sorted(self._numbers):
            yield from self._hole_before(seq)
            yield from self._manifest(seq)
            self._last_digest = self._digests[seq]
            if head is None or seq != head["seq"]:
                del self._digests[seq]
            self._progress(self._summary)
        yield from self._end(head)
        parts = {name for name in self._names if _PART.fullmatch(name)}
        self._summary.orphans += len(parts - self._named)
        for name in sorted(self._names - parts - {_HEAD}):
            if not _MANIFEST.fullmatch(name):
                yield self._finding(Kind.INSERTED, "not part of an archive", key=self._prefix + name)

    def _head(self) -> tuple[dict[str, Any] | None, list[Finding]]:
        if self._hint is None:
            return None, []
        head, wrong = document(self._hint, HEAD_SHAPE)
        return head, [self._finding(Kind.ALTERED, f"the hint is {wrong}", key=self._prefix + _HEAD)] if wrong else []

    def _hole_before(self, seq: int) -> Iterator[Finding]:
        """The numbers between the manifest before and this one."""
        first = max((n for n in self._numbers if n < seq), default=-1) + 1 if seq - 1 not in self._numbers else seq
        if first < seq:
            detail = f"manifests {first} to {seq - 1} are gone"
            yield self._finding(Kind.MISSING, detail, seq=first, key=self._key(first))
            self._last_digest = None

    def _manifest(self, seq: int) -> Iterator[Finding]:
        """One manifest: itself, its place in the chain, its segment."""
        report = functools.partial(self._finding, seq=seq)
        body = self._read(self._key(seq)) or b""
        self._digests[seq] = sha256(body)
        manifest, wrong = document(body, MANIFEST_SHAPE)
        if manifest is None:
            yield report(Kind.ALTERED, f"the manifest is {wrong}", key=self._key(seq))
            return
        if (manifest["v"], manifest["type"]) != (1, "segment"):
            yield report(Kind.UNCHECKED, "the manifest is of an unknown version or type", key=self._key(seq))
            return
        place = (manifest["namespace"], manifest["stream"]["topic"], manifest["stream"]["partition"], manifest["seq"])
        if place != (self._namespace, self._topic, self._partition, seq):
            yield report(Kind.INSERTED, f"this manifest belongs to {place}", key=self._key(seq))
            return
        self._named.update(manifest[part]["key"].rpartition("/")[2] for part in ("body", "leaves", "headers"))
        yield from self._links(manifest, seq)
        yield from Segment(manifest, self._prefix, report, self._read).check()
        self._last = manifest
        self._summary.segments += 1
        self._summary.records += manifest["n"]
        self._summary.bytes += manifest["bytes"]

    def _links(self, manifest: dict[str, Any], seq: int) -> Iterator[Finding]:
        """A manifest follows from the one before: hash, offsets, totals."""
        report = functools.partial(self._finding, seq=seq, key=self._key(seq))
        covers, last = manifest["covers"], self._last
        if (seq == 0 and manifest["previous"] is not None) or (
            self._last_digest is not None and manifest["previous"] != self._last_digest
        ):
            detail = f"manifest {seq} vouches for another manifest {seq - 1} than the one that is there"
            yield report(Kind.ALTERED, detail, seq=max(seq - 1, 0))
        if covers["last_offset"] < covers["first_offset"] or manifest["batch"]["last_offset"] != covers["last_offset"]:
            yield report(Kind.ALTERED, "the range of offsets contradicts itself")
        whole = last is not None and last["seq"] == seq - 1
        if last is None:
            start, before = manifest["partition"]["start"], {"records": 0, "bytes": 0}
            whole = seq == 0
        else:
            start, before = last["covers"]["last_offset"] + 1, last["totals"]
        yield from self._continuity(covers["first_offset"], start, report)
        added = {name: before[name] + manifest[own] for name, own in (("records", "n"), ("bytes", "bytes"))}
        if whole and manifest["totals"] != added:
            yield report(Kind.ALTERED, f"totals are {manifest['totals']}, by the segments they are {added}")
        if last is not None and manifest["partition"]["start"] != last["partition"]["start"]:
            yield report(Kind.ALTERED, "the partition starts elsewhere than in the manifest before")
        for low, high in manifest["partition"]["gaps"]:
            if low <= covers["last_offset"] and high >= covers["first_offset"]:
                yield report(Kind.GAP, f"Kafka never delivered offsets {low} to {high}", offset=low)

    def _continuity(self, first: int, expected: int, report: functools.partial[Finding]) -> Iterator[Finding]:
        if first > expected:
            yield report(Kind.GAP, f"offsets {expected} to {first - 1} are covered by no segment", offset=expected)
        elif first < expected:
            yield report(Kind.DUPLICATE, f"offsets {first} to {expected - 1} are covered twice", offset=first)

    def _end(self, head: dict[str, Any] | None) -> Iterator[Finding]:
        """The hint may lag behind the chain but never lead it."""
        if head is None:
            return
        last = max(self._numbers, default=-1)
        if head["seq"] > last:
            detail = f"manifests {last + 1} to {head['seq']} are gone from the end"
            yield self._finding(Kind.TRUNCATED, detail, seq=last + 1, key=self._key(last + 1))
        elif head["seq"] in self._digests and self._digests[head["seq"]] != head["manifest"]:
            detail = "the manifest is not the one that the hint names"
            yield self._finding(Kind.ALTERED, detail, seq=head["seq"], key=self._key(head["seq"]))

    def _read(self, key: str) -> bytes | None:
        """The bytes of an object; None where there is none."""
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            return None

    def _key(self, seq: int) -> str:
        return f"{self._prefix}{seq:012d}.manifest.json"

    def _finding(self, kind: Kind, detail: str, **place: Any) -> Finding:
        place.setdefault("key", self._key(place["seq"]) if "seq" in place else self._prefix)
        return Finding(
            kind=kind,
            detail=detail,
            namespace=self._namespace,
            topic=self._topic,
            partition=self._partition,
            **place,
        )


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
