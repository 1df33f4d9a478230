"""Checks an archive from its bytes alone, sharing no code with what wrote it.

It finds what was altered, taken out, put in or put elsewhere, in a segment, in a chain and among whole objects (of
these what dead letters name), and names the record. Memory is bounded by a few segments and the names in one folder.

Where there is a ledger it is checked first, and every segment against it. Without one these can't be seen: the end of a
chain cut off together with its ``head.json``, a chain or a namespace removed as a whole, and a history rewritten from
some segment to the end. An archive that is being written to is fine: a batch that is not finished is not yet there.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from storage.verify.findings import Checking, Finding, Kind, Progress, Site, Summary
from storage.verify.kept import Kept
from storage.verify.ledger.entries import StreamId
from storage.verify.ledger.namespace import Vouched, check_logs
from storage.verify.ledger.pins import NOTHING
from storage.verify.letters import Bodies
from storage.verify.people import Told
from storage.verify.places import Directory, Place
from storage.verify.scope import Scope
from storage.verify.stream import Stream
from storage.verify.workers import Result, Workers

_OBJECT = re.compile(r"([0-9a-f]{64})(\.enc)?")


def check(store_root: Path, summary: Summary | None = None, progress: Progress | None = None) -> Iterator[Finding]:
    """Everything that is wrong with an archive in a directory, as it is found; see `examine`."""
    yield from examine(Directory(store_root), Scope(), summary, progress)


def examine(
    place: Place, scope: Scope, summary: Summary | None = None, progress: Progress | None = None
) -> Iterator[Finding]:
    """Everything that is wrong with an archive, as it is found.

    Args:
        place: Where it lies.
        scope: What of it.
        summary: Is brought up to date while the findings are consumed; complete when they end.
        progress: Called after every segment and object.
    """
    counts = summary if summary is not None else Summary()
    with Workers(scope.jobs) as workers:
        for finding in _Archive(place, scope, workers, counts, progress or (lambda _: None)).check():
            counts.note(finding)
            yield finding


@dataclass(frozen=True, slots=True)
class _Archive:
    place: Place
    scope: Scope
    workers: Workers
    summary: Summary
    progress: Progress
    origins: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    """Namespaces whose logs could not be read."""

    def check(self) -> Iterator[Finding]:
        try:
            names = self.place.names("")
        except OSError as exc:
            yield Site().finding(Kind.UNCHECKED, f"there is no archive to read: {exc.strerror}", key=str(self.place))
            return
        for name in names:
            if name.startswith("."):
                continue  # working files of the store
            site = Site(namespace=name.rstrip("/"), key=name.rstrip("/"))
            if not name.endswith("/"):
                yield Site(key=name).finding(Kind.INSERTED, "not part of an archive")
                continue
            try:
                yield from self._namespace(site)
            except OSError as exc:
                yield _unread(site, exc)
        for origin in sorted((self.scope.pins or NOTHING).logs() - self.origins):
            if self.unread & set(origin.split("/")[-2:-1]):
                continue  # it may be one of those
            yield Site(key=origin).finding(Kind.MISSING, "a log of which a key or checkpoint is pinned is not here")
        if self.scope.pins is not None and not self.summary.findings and not self.origins:
            yield Site().finding(Kind.UNCHECKED, "the archive is empty: nothing here proves that it should be")

    def _namespace(self, site: Site) -> Iterator[Finding]:
        namespace = site.namespace
        names = self.place.names(namespace)
        vouched: Vouched | None = None
        if "log/" in names:
            vouched = yield from self._logs(site)
        elif "anchor/" in names:
            yield site.finding(Kind.MISSING, "there are anchors and no log", key=f"{namespace}/log/")
        elif self.scope.pins is not None and "seg/" in names:
            detail = "no ledger vouches for this namespace: whoever can write here could have rewritten it"
            yield site.finding(Kind.UNCHECKED, detail, key=f"{namespace}/log/")
        for name in names:
            if name == "obj/":
                yield from self._objects(site)
            elif name == "seg/":
                yield from self._streams(site, vouched)
            elif name not in ("log/", "anchor/"):
                yield site.finding(Kind.INSERTED, "not part of an archive", key=f"{namespace}/{name.rstrip('/')}")
        if vouched is not None and "seg/" not in names:
            yield from _lost(site, vouched, set())

    def _logs(self, site: Site) -> Checking[Vouched | None]:
        """What the logs vouch for; nothing where they can't be read, and the chains are checked by themselves."""
        try:
            vouched = yield from check_logs(self.place, site.namespace, self.scope, self.summary)
        except OSError as exc:
            self.unread.add(site.namespace)
            yield _unread(site, exc)
            return None
        self.origins.update(vouched.origins)
        return vouched

    def _streams(self, site: Site, vouched: Vouched | None) -> Iterator[Finding]:
        """Every chain: ``seg/<topic>/<partition>/``, and those that the ledger has and are not here."""
        start = f"{site.namespace}/seg/"
        here: set[StreamId] = set()
        kept = self._kept(vouched)
        for topic in self.place.names(start):
            for name in self.place.names(start + topic) if topic.endswith("/") else [""]:
                if name.endswith("/"):
                    if name[:-1].isdecimal():
                        here.add((topic[:-1], int(name[:-1])))
                    try:
                        yield from self._stream(start + topic + name, vouched, kept)
                    except OSError as exc:
                        yield _unread(replace(site, key=start + topic + name), exc)
                else:
                    yield site.finding(Kind.INSERTED, "not part of an archive", key=start + topic + name)
        yield from kept.findings()
        if vouched is not None:
            yield from _lost(site, vouched, here)

    def _kept(self, vouched: Vouched | None) -> Kept:
        """Keys that were to go are judged as of the end of what is checked: those of a copy as of when it was made."""
        last = dt.datetime.fromtimestamp(vouched.last if vouched is not None else 0.0, dt.UTC)
        lawful = vouched.lawful if vouched is not None and vouched.sound else None
        return Kept(lawful, self.scope.until or self.scope.now or last)

    def _stream(self, prefix: str, vouched: Vouched | None, kept: Kept) -> Iterator[Finding]:
        """The chain of one partition; its segments are read by the workers."""
        stream = Stream(self.place, prefix, self.scope, self.summary, vouched, kept.skip)
        people = Told(kept.lawful, kept.take)
        bodies = Bodies(self.place)
        for step in stream.check():
            if isinstance(step, Finding):
                yield step
                continue
            for result in self.workers.put(step):
                yield from self._taken(result, people, kept, bodies)
        for result in self.workers.rest():
            yield from self._taken(result, people, kept, bodies)
        yield from people.findings()

    def _taken(self, result: Result, people: Told, kept: Kept, bodies: Bodies) -> Iterator[Finding]:
        yield from result.counted(self.summary, people)
        yield from bodies.missing(result.bodies)
        if result.unread:
            kept.skip(result.unread)
        self.progress(self.summary)

    def _objects(self, site: Site) -> Iterator[Finding]:
        """The name of a whole object is the hash of its bytes."""
        for name in self.place.names(f"{site.namespace}/obj"):
            key = f"{site.namespace}/obj/{name}"
            match = _OBJECT.fullmatch(name)
            if match is None:
                yield site.finding(Kind.INSERTED, "not an object", key=key)
                continue
            hasher = hashlib.sha256()
            try:
                for chunk in self.place.chunks(key):
                    hasher.update(chunk)
            except OSError as exc:
                yield _unread(replace(site, key=key), exc)
                continue
            self.summary.objects += 1
            if hasher.hexdigest() != match[1]:
                yield site.finding(Kind.ALTERED, "not the bytes its name tells", key=key)
            self.progress(self.summary)


def _unread(site: Site, error: OSError) -> Finding:
    return site.finding(Kind.UNCHECKED, f"reading: {error.strerror}", key=str(error.filename or site.key))


def _lost(site: Site, vouched: Vouched, here: set[StreamId]) -> Iterator[Finding]:
    """Chains that the ledger vouches for and that are gone as a whole."""
    for topic, partition in sorted(vouched.streams.keys() - here):
        count = vouched.streams[topic, partition].count
        key = f"{site.namespace}/seg/{topic}/{partition}/"
        detail = f"the whole chain of {count} segments is gone"
        yield site.finding(Kind.MISSING, detail, stream=(topic, partition), seq=0, key=key)
