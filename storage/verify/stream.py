"""Follows the chain of one namespace in one partition: numbers, links, offsets, totals, and the hint at its end."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from storage.verify.encryption import SCHEME
from storage.verify.findings import Checking, Finding, Kind, Site, Summary
from storage.verify.groups import GROUPED_SCHEME
from storage.verify.ledger.entries import StreamRecord
from storage.verify.ledger.namespace import Vouched
from storage.verify.owed import Owed
from storage.verify.places import Place
from storage.verify.reading import HEAD_SHAPE, MANIFEST_SHAPE, document, sha256
from storage.verify.scope import Scope
from storage.verify.stream_keys import StreamKeys
from storage.verify.workers import Task

_MANIFEST = re.compile(r"([0-9]{12})\.manifest\.json")
_PART = re.compile(r"[0-9]{12}-[0-9a-f]{16}\.(ndz|leaves|headers)")
_HEAD = "head.json"
_HEAD_VERSION = 1
_SCHEMES = {1: None, 2: SCHEME, 3: GROUPED_SCHEME}
"""Of the encryption, by the version of a manifest."""
_SETTLED_S = 120.0
"""A segment is in the ledger within this time after it was sealed, while workers run."""
_HOLDING = dt.timedelta(hours=2)
"""And a store holds what the ledger holds within this: the role rotate looks each hour."""
_LATE_S = 900.0
"""And in any case within this: another worker took over its partition."""
_EXACT_GAPS = 3
"""Of a manifest: where it lists more, the first range holds all older ones, and what was sealed between them."""


class Stream:
    """Checks a chain.

    Args:
        place: The archive.
        prefix: Folder of the chain, with a slash at its end.
        scope: Which segments are read, and up to when the ledger must know them.
        summary: Counts streams, segments and orphans.
        vouched: What the ledger says of the namespace, where there is one.
        skipped: Is told the month's key of a segment with keys of people that lies outside of the scope.
    """

    def __init__(
        self,
        place: Place,
        prefix: str,
        scope: Scope,
        summary: Summary,
        vouched: Vouched | None = None,
        skipped: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._place = place
        self._summary = summary
        self._prefix = prefix
        namespace, _, topic, number, _ = prefix.split("/")
        self._site = Site(
            namespace=namespace, topic=topic, partition=int(number) if number.isdecimal() else None, key=prefix
        )
        self._scope = scope
        self._vouched = vouched
        self._skipped = skipped
        self._keys = StreamKeys(namespace, scope.keys, vouched)
        known = vouched.streams.get((topic, self._site.partition or 0)) if vouched else None
        self._known = known or StreamRecord()
        # The hint is read before the names, so that a chain which is growing never seems to be cut off.
        self._unread: OSError | None = None  # why the hint or the manifest before could not be read
        try:
            self._hint = place.read(prefix + _HEAD)
        except OSError as exc:
            self._hint, self._unread = None, exc
        self._names = set(place.names(prefix))
        self._numbers = sorted(int(match[1]) for name in self._names if (match := _MANIFEST.fullmatch(name)))
        self._named: set[str] = set()
        self._last: dict[str, Any] | None = None  # the last manifest that could be read
        self._last_digest: str | None = None
        self._digests: dict[int, str] = {}

    def check(self) -> Iterator[Finding | Task]:
        """What is wrong with the chain, and the segments that are to be read, in order."""
        self._summary.streams += 1
        head, problems = self._head()
        yield from problems
        if self._unread is not None:
            yield self._unchecked(replace(self._site, key=self._prefix + _HEAD))
            self._unread = None
        before = -1
        for seq in self._numbers:
            if before != seq - 1:
                detail = f"manifests {before + 1} to {seq - 1} are gone"
                yield self._at(before + 1).finding(Kind.MISSING, detail)
                self._last_digest = None
            yield from self._manifest(seq)
            self._last_digest = self._digests.get(seq)
            if head is None or seq != head["seq"]:
                self._digests.pop(seq, None)
            before = seq
        yield from self._end(head)
        yield from self._cut_off()
        parts = {name for name in self._names if _PART.fullmatch(name)}
        self._summary.orphans += len(parts - self._named)
        for name in sorted(self._names - parts - {_HEAD}):
            if not _MANIFEST.fullmatch(name):
                key = self._prefix + name.rstrip("/")
                yield self._site.finding(Kind.INSERTED, "not part of an archive", key=key)

    def _head(self) -> tuple[dict[str, Any] | None, list[Finding]]:
        if self._hint is None:
            return None, []
        head, wrong = document(self._hint, HEAD_SHAPE)
        if head is not None and head["v"] == _HEAD_VERSION:
            return head, []
        wrong = wrong or f"not of version {_HEAD_VERSION}, of which it has the form"
        return None, [self._site.finding(Kind.ALTERED, f"the hint is {wrong}", key=self._prefix + _HEAD)]

    def _manifest(self, seq: int) -> Iterator[Finding | Task]:
        """One manifest: itself, its place in the chain, its segment."""
        site = self._at(seq)
        try:
            body = self._place.read(site.key) or b""
        except OSError as exc:
            self._unread = exc
            yield self._unchecked(site)
            return
        self._digests[seq] = sha256(body)
        manifest, wrong = document(body, MANIFEST_SHAPE)
        wrong = wrong or _untimely(manifest or {})
        if manifest is None or wrong:
            yield site.finding(Kind.ALTERED, f"the manifest is {wrong}")
            return
        encryption = manifest.get("encryption")
        scheme = encryption["v"] if encryption is not None else None
        if manifest["type"] != "segment" or _SCHEMES.get(manifest["v"], -1) != scheme:
            yield site.finding(Kind.UNCHECKED, "the manifest is of an unknown version or type")
            yield from self._vouching(manifest, site)
            return
        place = (manifest["namespace"], manifest["stream"]["topic"], manifest["stream"]["partition"], manifest["seq"])
        if place != (site.namespace, site.topic, site.partition, seq):
            yield site.finding(Kind.INSERTED, f"this manifest belongs to {place}")
            return
        yield from self._vouching(manifest, site)
        self._named.update(manifest[part]["key"].rpartition("/")[2] for part in ("body", "leaves", "headers"))
        yield from self._links(manifest, site)
        self._last, self._unread = manifest, None
        self._summary.segments += 1
        announced = yield from self._announced(manifest, site)
        people = encryption["key"] if encryption is not None and scheme == GROUPED_SCHEME else None
        if self._asked(manifest["received"]):
            key = (yield from self._keys.of(encryption["key"], site)) if encryption is not None else None
            yield Task(
                self._place,
                self._prefix,
                manifest,
                site,
                key,
                announced=announced,
                owed=self._owed(manifest, site),
                subjects=self._keys.subjects if people is not None else None,
                shredded=self._keys.shredded_below(people) if people is not None else frozenset(),
                principals=self._keys.principals if people is not None else frozenset(),
            )
        else:
            self._summary.skipped += 1
            if people is not None:
                self._skipped(people)

    def _unchecked(self, site: Site) -> Finding:
        assert self._unread is not None
        return site.finding(Kind.UNCHECKED, f"reading: {self._unread.strerror}")

    def _announced(self, manifest: dict[str, Any], site: Site) -> Checking[bool]:
        """Whether a sound ledger has a tombstone of a segment; what is wrong with it."""
        if self._vouched is None or not self._vouched.sound:
            return False
        lawful, seq = self._vouched.lawful, manifest["seq"]
        if (site.topic, site.partition, seq) not in lawful.segments or site.partition is None:
            return False
        yield from lawful.judge(site.topic, site.partition, manifest, self._digests[seq], site)
        return True

    def _owed(self, manifest: dict[str, Any], site: Site) -> Owed:
        """What its stamp and a sound ledger promise of a segment."""
        stamp = manifest.get("retention")
        until = stamp["retain_until"] if stamp is not None else ""
        if self._vouched is None or not self._vouched.sound:
            return Owed(until)
        now = self._scope.now
        settled = _instant(now - _HOLDING) if now is not None else None
        holds, free = self._vouched.lawful.holding(site.topic, manifest, settled)
        return Owed(until, holds, free)

    def _asked(self, received: dict[str, str] | None) -> bool:
        """Whether a segment can hold something of the asked time range; where no time is known it can."""
        since, until = self._scope.since, self._scope.until
        return received is None or not (
            (since is not None and received["max"] < _instant(since))
            or (until is not None and received["min"] >= _instant(until))
        )

    def _links(self, manifest: dict[str, Any], site: Site) -> Iterator[Finding]:
        """A manifest follows from the one before: hash, offsets, totals."""
        seq, covers, last = manifest["seq"], manifest["covers"], self._last
        if (seq == 0 and manifest["previous"] is not None) or (
            self._last_digest is not None and manifest["previous"] != self._last_digest
        ):
            detail = f"manifest {seq} vouches for another manifest {seq - 1} than the one that is there"
            yield site.finding(Kind.ALTERED, detail, seq=max(seq - 1, 0))
        if covers["last_offset"] < covers["first_offset"] or manifest["batch"]["last_offset"] != covers["last_offset"]:
            yield site.finding(Kind.ALTERED, "the range of offsets contradicts itself")
        whole = last is not None and last["seq"] == seq - 1
        if last is None:
            start, before = manifest["partition"]["start"], {"records": 0, "bytes": 0}
            whole = seq == 0
        else:
            start, before = last["covers"]["last_offset"] + 1, last["totals"]
        if self._unread is None:
            yield from _continuity(covers["first_offset"], start, site)
        added = {name: before[name] + manifest[own] for name, own in (("records", "n"), ("bytes", "bytes"))}
        if whole and manifest["totals"] != added:
            yield site.finding(Kind.ALTERED, f"totals are {manifest['totals']}, by the segments they are {added}")
        if last is not None and manifest["partition"]["start"] != last["partition"]["start"]:
            yield site.finding(Kind.ALTERED, "the partition starts elsewhere than in the manifest before")
        gaps = manifest["partition"]["gaps"]
        for number, (low, high) in enumerate(gaps):
            if low <= covers["last_offset"] and high >= covers["first_offset"]:
                several = number == 0 and len(gaps) > _EXACT_GAPS
                detail = f"Kafka never delivered {'some of the ' if several else ''}offsets {low} to {high}"
                yield site.finding(Kind.GAP, detail, offset=low, declared=True)

    def _end(self, head: dict[str, Any] | None) -> Iterator[Finding]:
        """The hint may lag behind the chain but never lead it."""
        if head is None:
            return
        last = max(self._numbers, default=-1)
        if head["seq"] > last:
            detail = f"manifests {last + 1} to {head['seq']} are gone from the end"
            yield self._at(last + 1).finding(Kind.TRUNCATED, detail)
        elif (seq := head["seq"]) in self._digests and self._digests[seq] != head["manifest"]:
            if self._is_vouched(seq):
                detail = f"the hint names another manifest {seq} than the ledger"
                yield self._site.finding(Kind.ALTERED, detail, key=self._prefix + _HEAD)
            else:
                yield self._at(seq).finding(Kind.ALTERED, "the manifest is not the one that the hint names")

    def _is_vouched(self, seq: int) -> bool:
        """Whether the ledger has this very manifest."""
        sound = self._vouched is not None and self._vouched.sound
        return sound and self._known.has(seq) and self._known.digest(seq) == self._digests[seq]

    def _vouching(self, manifest: dict[str, Any], site: Site) -> Iterator[Finding]:
        """The ledger has this manifest as its entry, or it is too new for that."""
        if self._vouched is None or not self._vouched.sound:
            return
        seq, known, end = manifest["seq"], self._known, self._scope.end
        goes_on = max(known.named - _SETTLED_S, self._vouched.last - _LATE_S)
        if seq < known.count:
            if known.has(seq) and known.digest(seq) != self._digests[seq]:
                yield site.finding(Kind.ALTERED, "not the manifest that is in the ledger")
        elif _before(manifest["sealed_at"], goes_on):
            yield site.finding(Kind.INSERTED, "the ledger goes on after it and does not have this segment")
        elif end is not None and not _around(manifest["sealed_at"], end):
            yield site.finding(Kind.UNCHECKED, "the ledger does not have this segment")
        else:
            self._summary.unledgered += 1

    def _cut_off(self) -> Iterator[Finding]:
        """The ledger knows of segments behind the last one that is here."""
        last = max(self._numbers, default=-1)
        if self._known.count > last + 1:
            detail = f"manifests {last + 1} to {self._known.count - 1}, which are in the ledger, are gone from the end"
            yield self._at(last + 1).finding(Kind.TRUNCATED, detail)

    def _at(self, seq: int) -> Site:
        return replace(self._site, seq=seq, key=f"{self._prefix}{seq:012d}.manifest.json")


def _untimely(manifest: dict[str, Any]) -> str:
    """Which of the times of a manifest is none; empty where all are. Else they could not be compared as texts."""
    received = manifest.get("received") or {}
    times = {
        "sealed_at": manifest.get("sealed_at"),
        "received.min": received.get("min"),
        "received.max": received.get("max"),
        "retention.retain_until": (manifest.get("retention") or {}).get("retain_until"),
    }
    for name, text in times.items():
        try:
            if text is not None and _instant(dt.datetime.fromisoformat(text)) != text:
                return f"not of the right shape: {name} is no time"
        except (ValueError, OverflowError):
            return f"not of the right shape: {name} is no time"
    return ""


def _continuity(first: int, expected: int, site: Site) -> Iterator[Finding]:
    if first > expected:
        detail = f"offsets {expected} to {first - 1} are covered by no segment"
        yield site.finding(Kind.GAP, detail, offset=expected)
    elif first < expected:
        yield site.finding(Kind.DUPLICATE, f"offsets {first} to {expected - 1} are covered twice", offset=first)


def _before(sealed_at: str, seconds: float) -> bool:
    """Whether a segment was sealed before a POSIX time."""
    return sealed_at < _instant(dt.datetime.fromtimestamp(max(seconds, 0.0), dt.UTC))


def _around(sealed_at: str, end: float) -> bool:
    """Whether a segment was sealed so shortly before the end of what is checked that the ledger may not have it yet."""
    return not _before(sealed_at, end - _SETTLED_S) and _before(sealed_at, end + _SETTLED_S)


def _instant(time: dt.datetime) -> str:
    """As manifests write times: they sort like the times."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
