"""Checks what CloudTrail delivered against its digests, offline, with pinned keys.

What ``aws cloudtrail validate-logs`` lets pass is a finding here: a hole between digests, digests deleted at the end of
a chain, a digest that is not the one its successor names (hash and signature), log files that no digest lists, and
bytes behind the first gzip member. A copy is checked like the bucket itself.

What can't be seen: a log file put in during the minutes that no digest covers yet (it is found when the next digest
comes), and events that CloudTrail never wrote.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from storage.verify.cloudtrail.chain import LATE, OVERLAP, Chain
from storage.verify.cloudtrail.digest import (
    SIDECAR,
    Digest,
    DigestName,
    LogFile,
    WrongDigest,
    inflate_one,
    name_of,
)
from storage.verify.cloudtrail.keys import PinnedKeys
from storage.verify.findings import Finding, Kind, Progress, Site, Summary
from storage.verify.places import Place
from storage.verify.scope import Scope

_DIGESTS = "CloudTrail-Digest/"
_LOG = re.compile(
    r"(?P<above>(?:.*/)?)CloudTrail/(?:(?P<region>[^/]+)/(?:.*/)?)?[^/]*?(?:_(?P<time>[0-9]{8}T[0-9]{4}Z)_[^/]*)?"
)
Region = tuple[str, str]
"""What lies above ``CloudTrail/``, and the region."""


@dataclass(slots=True)
class _Spans:
    """The times, ascending, that the believed digests of one chain are about; adjoining ones are one."""

    spans: list[tuple[dt.datetime, dt.datetime]] = field(default_factory=list)

    def add(self, start: dt.datetime, end: dt.datetime) -> None:
        if self.spans and start <= self.spans[-1][1]:
            start, end = self.spans[-1][0], max(end, self.spans.pop()[1])
        self.spans.append((start, end))

    def end_before(self, time: dt.datetime) -> bool:
        return bool(self.spans) and self.spans[-1][1] <= time

    def hold(self, time: dt.datetime) -> bool:
        return any(start <= time < end - LATE for start, end in self.spans)


@dataclass(slots=True)
class Trail:
    """Everything below one place.

    Args:
        place: A bucket or a copy of one.
        keys: Pinned keys.
        scope: Digests of which time; `jobs` files are read at once.
        now: The present, for the age of the newest digest.
    """

    place: Place
    keys: PinnedKeys
    scope: Scope
    now: dt.datetime
    summary: Summary
    progress: Progress = lambda _: None
    _listed: set[str] = field(default_factory=set)
    _covered: dict[Region, list[_Spans]] = field(default_factory=dict)

    def check(self) -> Iterator[Finding]:
        """Every finding, counted in the summary."""
        for finding in self._check():
            self.summary.note(finding)
            yield finding

    def _check(self) -> Iterator[Finding]:
        chains: dict[tuple[str, ...], list[DigestName]] = {}
        try:
            for name in self._names():
                if isinstance(name, Finding):
                    yield name
                else:
                    chains.setdefault(name.chain, []).append(name)
            found = [Chain(self.place, sorted(names), self.keys, self.scope) for _, names in sorted(chains.items())]
            if not any(chain.asked for chain in found):
                yield Site(key=_DIGESTS).finding(Kind.MISSING, "there is no digest of this time")
            for chain, kind in zip(found, sorted(chains), strict=True):
                yield from self._chain(chain, chains[kind][0])
            yield from self._others()
        except OSError as exc:
            yield Site(key=str(exc.filename or "")).finding(Kind.UNCHECKED, f"reading: {exc.strerror}")

    def _names(self) -> Iterator[DigestName | Finding]:
        """The digests; what else lies among digests was put there."""
        for key in self.place.walk(""):
            if not _is_among_digests(key) or key.endswith(SIDECAR):
                continue
            name = name_of(key)
            if name is None:
                yield Site(key=key).finding(Kind.INSERTED, "no digest, among digests")
            elif name.end > self.now + LATE:
                yield Site(key=key).finding(Kind.INSERTED, "a digest whose name is of the future")
            else:
                yield name

    def _chain(self, chain: Chain, one: DigestName) -> Iterator[Finding]:
        spans = _Spans()
        if not one.backfill:
            self._covered.setdefault((one.chain[0], one.chain[2]), []).append(spans)
        with ThreadPoolExecutor(self.scope.jobs) as pool:
            for step in chain.check():
                if isinstance(step, Finding):
                    yield step
                    continue
                digest = step.digest
                if step.asked or step.believed:
                    self._listed.update(file.key.removeprefix(_lead(digest)) for file in digest.files)
                if not step.believed:
                    continue
                spans.add(digest.start, digest.end)
                if not step.asked:
                    continue
                self.summary.digests += 1
                # What hashes and inflates lets other threads run; what waits for S3 does, too.
                for findings in pool.map(functools.partial(self._file, digest), digest.files):
                    yield from findings
                self.progress(self.summary)
        yield from chain.staleness(min(self.now, self.scope.until or self.now))

    def _file(self, digest: Digest, file: LogFile) -> list[Finding]:
        """A log file has the bytes that its digest lists."""
        site = Site(key=file.key.removeprefix(_lead(digest)))
        if file.bucket != digest.bucket:
            return [site.finding(Kind.UNCHECKED, f"it lies in the bucket {file.bucket}")]
        if site.key.startswith("/") or not {".", ".."}.isdisjoint(site.key.split("/")):
            return [site.finding(Kind.ALTERED, f"no log file, listed by {digest.name.key}")]
        try:
            stored = self.place.read(site.key)
            if stored is None:
                return [site.finding(Kind.MISSING, f"listed by {digest.name.key}")]
            content = inflate_one(stored)
        except OSError as exc:
            return [site.finding(Kind.UNCHECKED, f"reading: {exc.strerror}")]
        except WrongDigest as exc:
            return [site.finding(Kind.ALTERED, str(exc))]
        if hashlib.sha256(content).hexdigest() != file.sha256.lower():
            return [site.finding(Kind.ALTERED, f"not the bytes that {digest.name.key} lists")]
        self.summary.log_files += 1
        self.summary.bytes += len(content)
        return []

    def _others(self) -> Iterator[Finding]:
        """Log files that no digest lists."""
        unvouched: Counter[str] = Counter()
        for key in self.place.walk(""):
            match = _LOG.fullmatch(key)
            if match is None or key in self._listed or _is_among_digests(key):
                continue
            time = _minute(match["time"])
            chains = self._covered.get((match["above"], match["region"]), [])
            if chains and time is not None and time > self.now + LATE:
                yield Site(key=key).finding(Kind.INSERTED, "no digest lists this log file: its name is of the future")
                continue
            held = time is not None and bool(chains) and all(spans.hold(time) for spans in chains)
            if time is not None and not self._in_scope(time, held=held):
                continue
            if match["region"] is None and any(above == match["above"] for above, _ in self._covered):
                yield Site(key=key).finding(Kind.INSERTED, "no log file of a region, among log files")
                continue
            if held or (chains and time is None):
                yield Site(key=key).finding(Kind.INSERTED, "no digest lists this log file")
            elif chains and time is not None and all(spans.end_before(time + LATE) for spans in chains):
                self.summary.pending += 1
            else:
                region = f"{match['region']}/" if match["region"] else ""
                unvouched[f"{match['above']}CloudTrail/{region}"] += 1
        for folder, count in sorted(unvouched.items()):
            detail = f"{count} log files are of times that no believed digest is about"
            yield Site(key=folder).finding(Kind.UNCHECKED, detail)

    def _in_scope(self, time: dt.datetime, *, held: bool) -> bool:
        """Whether a log file was asked for. One that whoever asked before could not judge is, once it can be judged."""
        since = self.scope.since
        if since is not None and held:
            since -= OVERLAP
        return (since is None or time >= since) and (self.scope.until is None or time < self.scope.until)


def _is_among_digests(key: str) -> bool:
    return f"/{_DIGESTS}" in f"/{key}"


def _lead(digest: Digest) -> str:
    """What a copy leaves out at the start of the keys of its bucket."""
    return digest.key.removesuffix(digest.name.key)


def _minute(text: str | None) -> dt.datetime | None:
    try:
        return dt.datetime.strptime(text or "", "%Y%m%dT%H%MZ").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
