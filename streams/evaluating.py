"""From a raw Kafka message to the matches of rules in it. Pure: clock and limits are arguments.

A document takes several times as long as all rules together, so where the engine knows a shorter way, one is made only
for a record that matches, or that a rule asks for more than stands in the vendor's fields. Accounts and refusals are
those that making every document would give; `streams/preparing.py` is that way, and tests compare the two.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from detectors.rule import Rule
from detectors.sigma.engine import Engine, Examined
from ingest.document import Identified
from ingest.formats.contract import Format, LogSource, Reading, View
from ingest.schema.envelope import Envelope, Header, Position
from ingest.schema.errors import RejectedRecord
from streams.preparing import Limits, PreparedRecord, open_message, prepare_record

_CUT = dt.timedelta(milliseconds=1)
"""Documents hold times cut to milliseconds; a time that is nearer to a limit is compared as the document has it."""


@dataclass(slots=True)
class Evaluated:
    """One envelope: what its records came to.

    Attributes:
        received: Records in it.
        refused: Those that no document can be made of, or none with a believable time; rules say nothing of them.
        newest: Latest event time of the others.
        source: Log source of their format; None when nothing was evaluated.
        matches: (Place in `views` and `identified`, rule), in the order of records, then of rules.
        views: What rules see of the records that matched.
        identified: The same records as they are indexed.
    """

    position: Position
    header: Header | None
    received: int
    refused: int = 0
    newest: dt.datetime | None = None
    source: LogSource | None = None
    matches: list[tuple[int, Rule]] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    identified: list[Identified] = field(default_factory=list)


def evaluate(value: bytes | None, position: Position, now: dt.datetime, limits: Limits, engine: Engine) -> Evaluated:
    """Run the rules over every record of a message; never raises for bad data."""
    message, envelope = open_message(value, position, now)
    found = Evaluated(position, message.header, message.received, refused=len(message.letters))
    if envelope is None or message.format is None:
        return found
    found.source = message.format.log_source
    documents = _Documents(envelope, message.format, position, now, limits)
    told = engine.examine(envelope.records, message.format, documents.of_rule)
    if told is None:
        _take_all(found, documents, engine)
    else:
        _take_told(found, documents, told)
    return found


class _Documents:
    """The documents of an envelope's records, each made when it is first asked for.

    Attributes:
        count: Records.
        limits: Earliest and latest believable time.
    """

    def __init__(
        self, envelope: Envelope, format_: Format, position: Position, now: dt.datetime, limits: Limits
    ) -> None:
        self.count = len(envelope.records)
        self.limits = (now - limits.max_age, now + limits.max_future)
        self._make: Callable[[int, Reading | None], PreparedRecord] = lambda index, reading: prepare_record(
            envelope,
            format_,
            Position(position.topic, position.partition, position.offset, index),
            now,
            limits,
            reading,
        )
        self._made: dict[int, PreparedRecord | RejectedRecord] = {}

    def of(self, index: int, reading: Reading | None = None) -> PreparedRecord | None:
        """The document of a record; None when it is refused."""
        found = self._get(index, reading)
        return None if isinstance(found, RejectedRecord) else found

    def of_rule(self, index: int, reading: Reading) -> Mapping[str, Any]:
        """The document of a record for a rule that asks.

        Raises:
            RejectedRecord: None can be made.
        """
        found = self._get(index, reading)
        if isinstance(found, RejectedRecord):
            raise found
        return found.identified.document

    def _get(self, index: int, reading: Reading | None) -> PreparedRecord | RejectedRecord:
        found = self._made.get(index)
        if found is None:
            try:
                found = self._make(index, reading)
            except RejectedRecord as exc:
                found = exc
            self._made[index] = found
        return found


def _take_all(found: Evaluated, documents: _Documents, engine: Engine) -> None:
    """Make every document, then match."""
    assert found.source is not None
    prepared = _count(found, documents, range(documents.count))
    views = [_view_of(each) for each in prepared]
    for place, rule in engine.match(views, found.source):
        _add(found, prepared[place], views[place], rule)


def _take_told(found: Evaluated, documents: _Documents, told: Examined) -> None:
    """Take the matches of records that are not refused, and count those that are."""
    earliest, latest = documents.limits
    if told.oldest and told.newest:
        oldest, newest = dt.datetime.fromisoformat(told.oldest), dt.datetime.fromisoformat(told.newest)
        if oldest - _CUT < earliest or newest > latest:
            _count(found, documents, range(documents.count))
        else:
            found.newest = newest.replace(microsecond=newest.microsecond // 1000 * 1000)
            _count(found, documents, told.unsure)
    else:
        _count(found, documents, told.unsure)
    for index, rule in told.matches:
        prepared = documents.of(index)
        if prepared is not None:
            _add(found, prepared, None, rule)


def _count(found: Evaluated, documents: _Documents, indices: Iterable[int]) -> list[PreparedRecord]:
    """Make some documents, count refusals and note times; gives the records that are not refused."""
    kept = []
    for index in indices:
        prepared = documents.of(index)
        if prepared is None:
            found.refused += 1
        else:
            kept.append(prepared)
            found.newest = max(found.newest or prepared.event_time, prepared.event_time)
    return kept


def _add(found: Evaluated, prepared: PreparedRecord, view: View | None, rule: Rule) -> None:
    """Add a match; those of one record follow each other."""
    if not found.identified or found.identified[-1] is not prepared.identified:
        found.identified.append(prepared.identified)
        found.views.append(view or _view_of(prepared))
    found.matches.append((len(found.views) - 1, rule))


def _view_of(prepared: PreparedRecord) -> View:
    view = prepared.identified.reading.view()
    view.ecs = prepared.identified.document
    return view
