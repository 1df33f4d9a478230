"""Runs a scan: pieces through processes, and what comes back as hits in the order of files and records."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Final

from skytrail.scan.correlating import Correlating
from skytrail.scan.evaluate import Task
from skytrail.scan.found import Hit, Match, Part, Traced
from skytrail.scan.pieces import Piece
from skytrail.scan.pool import Pool
from skytrail.scan.work import Worker

HARMLESS: Final = frozenset(("repeats", "surplus"))
"""Reasons for which correlations leave out matches that no alert waits for; one may count fewer."""
_LEAVES = 500_000  # matched records without an id that are told apart in one file


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that was not, or not wholly, evaluated.

    Attributes:
        record: Its ordinal; None where it is the file, or the rest of it.
        partly: It was evaluated without its normalised fields.
    """

    file: str
    record: int | None
    why: str
    partly: bool = False


@dataclass(slots=True)
class Tally:
    """What a scan came to.

    Attributes:
        files: Files that were opened, archives counted by partition.
        unknown: Files that no format recognises.
        unreadable: Other files that could not be read to their end.
        events: Records.
        refused: Records that no rule has seen.
        undated: Records that were evaluated without normalised fields.
        matches: Hits by level.
        raised: Rule id → records on which the rule raised.
        left_out: Matches that correlations could not keep, by reason as in `Correlator.notes`.
        left_out_of: The same by correlation, as in `Correlator.noted`.
        bytes: Bytes on disk that are done.
    """

    files: int = 0
    unknown: int = 0
    unreadable: int = 0
    events: int = 0
    refused: int = 0
    undated: int = 0
    matches: Counter[str] = field(default_factory=Counter)
    raised: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    left_out_of: Counter[tuple[str, str]] = field(default_factory=Counter)
    bytes: int = 0

    @property
    def complete(self) -> bool:
        """Whether every rule has seen all of every record, and no correlation lost what an alert may need."""
        lost = self.left_out.keys() - HARMLESS
        return not (self.unknown or self.unreadable or self.refused or self.undated or self.raised or lost)

    @property
    def nothing_read(self) -> bool:
        """Whether there was input, and none of it could be read; a file that is empty is read."""
        faulty = self.unknown + self.unreadable
        return self.events == self.refused and bool(self.refused or (faulty and faulty == self.files))


OnTrouble = Callable[[Trouble], None]


class Scan:
    """One scan; `tally` grows while its hits are taken."""

    def __init__(self, task: Task, *, jobs: int, on_trouble: OnTrouble, on_progress: Callable[[], None]) -> None:
        """Prepare.

        Args:
            task: What is looked for.
            jobs: Most processes to use.
            on_trouble: Told of everything that was not evaluated, as far as it is named.
            on_progress: Called after each piece.
        """
        self.tally = Tally()
        self._task = task
        self._jobs = jobs
        self._on_trouble = on_trouble
        self._on_progress = on_progress
        self._source = -1
        self._before = 0
        self._faulty = False
        self._repeats: dict[str, tuple[int, int]] = {}
        self._correlating = Correlating(task.correlations)

    def hits(self, pieces: Iterable[Piece]) -> Generator[Hit]:
        """Every hit, in the order of files, records and rules; the same whatever the number of processes.

        Those of correlations come last, in the order of time: what completes one may lie in any file.
        """
        with contextlib.closing(self._correlating):
            yield from self._on_records(pieces)
            for hit in self._correlating.hits():
                self.tally.matches[hit.rule.level] += 1
                yield hit
            self.tally.left_out = self._correlating.left_out
            self.tally.left_out_of = self._correlating.left_out_of

    def _on_records(self, pieces: Iterable[Piece]) -> Generator[Hit]:
        with contextlib.closing(self._parts(pieces)) as parts:
            for piece, part in parts:
                if piece.source != self._source:
                    self._begin(piece)
                for match in part.matches:
                    yield self._hit(piece, match)
                for traced in part.signals:
                    record = self._before + traced.ordinal
                    self._correlating.add(piece.file, record, self._uid(traced, record), traced.signal, traced.entry)
                if part.last:
                    self._finish(piece, part)
                    self._on_progress()

    def _parts(self, pieces: Iterable[Piece]) -> Generator[tuple[Piece, Part]]:
        """Parts in order; one piece alone is not worth a process."""
        source = iter(pieces)
        first = list(itertools.islice(source, 2))
        make = functools.partial(Worker, self._task)
        if self._jobs == 1 or len(first) == 1:
            worker = make()
            for piece in itertools.chain(first, source):
                for part in worker.evaluate(piece):
                    yield piece, part
            return
        with Pool(make, self._jobs) as pool, contextlib.closing(pool.run(itertools.chain(first, source))) as parts:
            yield from parts

    def _begin(self, piece: Piece) -> None:
        self._source, self._before, self._faulty = piece.source, 0, False
        self._repeats.clear()
        self.tally.files += 1

    def _hit(self, piece: Piece, match: Match) -> Hit:
        rule = self._task.rules[match.rule]
        self.tally.matches[rule.level] += 1
        record = self._before + match.ordinal
        return Hit(rule, piece.file, record, self._uid(match, record), match)

    def _uid(self, found: Match | Traced, record: int) -> str:
        return f"{found.uid}:{self._repeat(found.uid, record)}" if found.by_leaf else found.uid

    def _repeat(self, leaf: str, record: int) -> int:
        """How many identical records came before in the file: whatever matches one of them matches all."""
        seen, last = self._repeats.get(leaf, (0, record))
        if last != record:
            seen += 1
        if leaf in self._repeats or len(self._repeats) < _LEAVES:
            self._repeats[leaf] = (seen, record)
        return seen

    def _finish(self, piece: Piece, part: Part) -> None:
        tally = self.tally
        tally.events += part.events
        tally.refused += part.refused
        tally.undated += part.undated
        tally.raised.update(part.raised)
        tally.bytes += piece.size
        for refusal in part.named:
            self._on_trouble(Trouble(piece.file, self._before + refusal.ordinal, refusal.why, refusal.partly))
        if part.fault:
            self._on_trouble(Trouble(piece.file, None, part.fault))
            if not self._faulty:
                self._faulty = True
                tally.unknown += part.unknown
                tally.unreadable += not part.unknown
        self._before += part.events


def summary(tally: Tally, seconds: float, *, rules_refused: int) -> dict[str, object]:
    """The tally as one object with stable keys.

    Args:
        tally: The counts.
        seconds: How long it took.
        rules_refused: Rule files, or rules in them, that were left out because they can't be used.
    """
    return {
        "schema_version": 1,
        "files": tally.files,
        "files_unknown": tally.unknown,
        "files_unreadable": tally.unreadable,
        "events": tally.events,
        "refused": tally.refused,
        "not_normalised": tally.undated,
        "matches": dict(sorted(tally.matches.items())),
        "rules_refused": rules_refused,
        "rules_raised": dict(sorted(tally.raised.items())),
        "correlation_matches_left_out": dict(sorted(tally.left_out.items())),
        "seconds": round(seconds, 3),
    }
