"""What a process of a scan does with one piece: reads it where it must, splits it, evaluates its records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from ingest.formats.recognition import doubt, is_empty, recognise
from ingest.formats.registry import format_named
from ingest.schema.errors import MalformedBody
from skytrail.scan.bodies import bodies, inflated, keys_of
from skytrail.scan.evaluate import Evaluator, Task
from skytrail.scan.found import Match, Part, Traced
from skytrail.scan.pieces import Piece, worded

FOUND_PER_PART = 1000
_READ_BYTES = 1024 * 1024


class Worker:
    """Evaluates pieces, one at a time."""

    def __init__(self, task: Task) -> None:
        """Build the engine."""
        self._evaluator = Evaluator(task)
        self._doubt = ""

    def evaluate(self, piece: Piece) -> Iterator[Part]:
        """Everything about a piece; the last part has the counts. Raises for nothing that a piece may hold."""
        self._evaluator.begin(piece.namespace)
        self._doubt = ""
        fault = piece.fault
        found: list[Match | Traced] = []
        try:
            if not fault:
                for one in self._matches(piece):
                    found.append(one)
                    if len(found) >= FOUND_PER_PART:
                        yield Part(_matches_in(found), signals=_signals_in(found))
                        found = []
        except MalformedBody as exc:
            fault = worded(exc)
        except OSError as exc:
            fault = f"reading file: {exc.strerror or exc}"
        except Exception as exc:  # noqa: BLE001 - a fault in a format must cost this piece only; it is told
            fault = f"evaluating records: {type(exc).__name__}: {exc}"
        counts = self._evaluator.counts
        yield Part(
            _matches_in(found),
            last=True,
            events=counts.events,
            refused=counts.refused,
            undated=counts.undated,
            named=tuple(self._evaluator.named),
            fault=fault or self._doubt,
            unknown=piece.unknown or bool(self._doubt),
            raised=dict(self._evaluator.raised),
            signals=_signals_in(found),
        )

    def _matches(self, piece: Piece) -> Iterator[Match | Traced]:
        if piece.records:
            for match in self._evaluator.matches(format_named(piece.format).within(piece.context), piece.records):
                yield _told_apart(match, piece)
            return
        name, context = piece.format, piece.context
        source = _bodies(piece)
        for body in source:
            if not name:
                known = recognise(body)
                if len(known) != 1:
                    _raise_cut(source)
                    self._doubt = "" if is_empty(body) else doubt(known)
                    return
                name = known[0]
            format_ = format_named(name)
            records: list[bytes] = []
            fault: MalformedBody | None = None
            try:
                records.extend(format_.split(body))
            except MalformedBody as exc:
                fault = exc  # the records before it are evaluated first
            context = format_.context(body) or context
            yield from self._evaluator.matches(format_.within(context), records, mixed=piece.mixed)
            if fault:
                _raise_cut(source)
                raise fault


def _raise_cut(source: Iterator[bytes]) -> None:
    """Raise why the input ended early, if it did behind the last body: that explains what is wrong inside it."""
    next(source, None)


def _bodies(piece: Piece) -> Iterator[bytes]:
    if piece.path is None:
        if piece.body:
            yield piece.body
    elif piece.end is None:
        with piece.path.open("rb") as handle:
            chunks = inflated(iter(lambda: handle.read(_READ_BYTES), b""))
            yield from bodies(chunks, list_keys=keys_of(piece.format))
    else:
        with piece.path.open("rb") as handle:
            handle.seek(piece.start)
            yield handle.read(piece.end - piece.start)


def _told_apart(found: Match | Traced, piece: Piece) -> Match | Traced:
    """What was found in a sealed record: of identical ones its envelope says which it is."""
    if not found.by_leaf:
        return found
    uid = f"{found.uid}:{piece.repeats.get(found.ordinal, 0)}"
    return msgspec.structs.replace(found, uid=uid, by_leaf=False)


def _matches_in(found: Iterable[Match | Traced]) -> tuple[Match, ...]:
    return tuple(one for one in found if isinstance(one, Match))


def _signals_in(found: Iterable[Match | Traced]) -> tuple[Traced, ...]:
    return tuple(one for one in found if isinstance(one, Traced))
