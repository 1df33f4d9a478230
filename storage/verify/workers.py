"""Reads segments in several processes and gives the results back in order; never more than a few wait in memory."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from storage.verify.findings import Finding, Kind, Site, Summary
from storage.verify.letters import Named
from storage.verify.owed import NOTHING, Owed, compare
from storage.verify.people import Person, Told
from storage.verify.places import Place
from storage.verify.segment import Segment

_INLINE = 32
"""Segments that are read before processes are started: a small archive is read sooner than they are up."""


@dataclass(frozen=True, slots=True)
class Task:
    """A segment to read: its manifest (of the right shape), where its chain lies, and the place of its findings.

    Attributes:
        key: Its data key, where it is encrypted and the key is here.
        announced: A tombstone of the ledger says that its records are destroyed.
        owed: What the store must keep it from.
        subjects: Directory of the table of subjects' keys, where people have keys of their own and it is here.
        shredded: Ids of these keys that are to be destroyed, as a sound ledger says.
        principals: Of whom it is asked whether they are one of these people.
    """

    place: Place
    prefix: str
    manifest: dict[str, Any]
    site: Site
    key: bytes | None = field(default=None, repr=False)
    announced: bool = False
    owed: Owed = NOTHING
    subjects: Path | None = None
    shredded: frozenset[str] = frozenset()
    principals: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Result:
    """What reading a segment gave.

    Attributes:
        unread: Id of the month's key of a segment with keys of people that could not be read.
    """

    records: int
    bytes: int
    findings: list[Finding]
    closed: bool = False
    destroyed: int = 0
    people: tuple[Person, ...] = ()
    bodies: tuple[Named, ...] = ()
    unread: str = ""

    def counted(self, summary: Summary, told: Told) -> Iterator[Finding]:
        """The findings, after what was read is added to a summary, and to what is told of people at the end."""
        summary.records += self.records
        summary.bytes += self.bytes
        summary.closed += self.closed
        summary.destroyed += self.destroyed
        for person in self.people:
            told.take(person)
            summary.erased += person.records if person.kind is Kind.ERASED else 0
        yield from self.findings


def read(task: Task) -> Result:
    """Check one segment."""
    manifest = task.manifest
    try:
        segment = Segment(
            manifest,
            task.prefix,
            task.site,
            task.place.read,
            task.key,
            announced=task.announced,
            subjects=task.subjects,
            shredded=task.shredded,
            principals=task.principals,
        )
        findings = list(segment.check())
        if task.owed and not task.announced:
            findings += compare(task.place, manifest, task.owed, task.site)
    except OSError as exc:
        return _unread(task, task.site.finding(Kind.UNCHECKED, f"reading: {exc.strerror}", key=str(exc.filename or "")))
    if segment.destroyed:
        return Result(0, 0, findings, destroyed=manifest["n"])
    if segment.closed:
        return Result(0, 0, findings, closed=True)
    records, size = segment.compared if segment.people else (manifest["n"], manifest["bytes"])
    return Result(records, size, findings, people=tuple(segment.people), bodies=tuple(segment.bodies))


class Workers:
    """The processes; none with one job, and none for a small archive."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._seen = 0
        self._pool: ProcessPoolExecutor | None = None
        self._waiting: deque[tuple[Task, Future[Result]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def put(self, task: Task) -> Iterator[Result]:
        """Take a segment; the results, in order, that are due."""
        self._seen += 1
        if self._jobs == 1 or self._seen <= _INLINE:
            yield read(task)
            return
        if self._pool is None:
            # Not forked: this process may have threads (a progress display), and a fork copies locks that they hold.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._jobs, mp_context=context, initializer=_leave_interrupts)
        try:
            self._waiting.append((task, self._pool.submit(read, task)))
        except BrokenProcessPool:
            yield _lost(task)
        while len(self._waiting) > 2 * self._jobs:
            yield self._next()

    def rest(self) -> Iterator[Result]:
        """The results that are still to come, in order."""
        while self._waiting:
            yield self._next()

    def _next(self) -> Result:
        task, future = self._waiting.popleft()
        try:
            return future.result()
        except BrokenProcessPool:
            return _lost(task)


def _lost(task: Task) -> Result:
    return _unread(task, task.site.finding(Kind.UNCHECKED, "a process that read segments was killed: out of memory?"))


def _unread(task: Task, finding: Finding) -> Result:
    return Result(0, 0, [finding], unread=task.manifest["encryption"]["key"] if task.subjects is not None else "")


def _leave_interrupts() -> None:
    """Ctrl-C is for the process that started us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
