"""Evaluates rules on records that lie in memory. Pure: no files, no clock.

A record without a time, or with an impossible one, is shown to the rules all the same (`undated.py`): a hunt must not
miss it. Such a match has no time and passes every time range.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.detection import group_key, principal_of, short_member
from detectors.reason import word_reason
from detectors.rule import Rule
from detectors.sigma.choose import build_engine
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.engine import DocumentOf, known_aliases
from detectors.sigma.fields import Fields
from ingest.document import Identified, Receipt, complete
from ingest.formats.contract import Format, Reading, View
from ingest.formats.recognition import formats_of
from ingest.formats.registry import format_named
from ingest.schema.errors import RejectedRecord
from ingest.schema.identity import leaf_hash
from skytrail.scan.found import MOST_NAMED, Match, Refusal, Traced
from skytrail.scan.timesketch import entry
from skytrail.scan.undated import document_of

BATCH = 500  # records evaluated at once, as many as an envelope has
_RECEIPT = Receipt(
    namespace="default", collector="scan", received_at=dt.datetime(1970, 1, 1, tzinfo=dt.UTC), locator="", ordinal=0
)
"""Of records that nobody collected; what it says reaches no output."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is looked for; plain data, so that it can be handed to another process.

    Attributes:
        rules: Whose matches are hits.
        bases: Rules that only serve correlations.
        correlations: What is judged over many records.
        since: Only event times from here on.
        until: Only event times before.
        entries: Whether matches and signals carry a timeline entry.
    """

    rules: tuple[Rule, ...]
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    entries: bool = False
    bases: tuple[Rule, ...] = ()
    correlations: tuple[Correlation, ...] = ()


@dataclass(frozen=True, slots=True)
class _Event:
    """A record as rules see it; `identified` is None where normalising refused it."""

    reading: Reading
    view: View
    identified: Identified | None


@dataclass(slots=True)
class Counts:
    """What the records of a piece came to; see `Part`."""

    events: int = 0
    refused: int = 0
    undated: int = 0


class Evaluator:
    """Runs the rules of a task over records.

    Attributes:
        counts: Of all records since `begin`.
        named: The first refused ones.
        raised: Rule id → records on which it raised.
    """

    def __init__(self, task: Task) -> None:
        """Build the engine; takes up to a second for thousands of rules."""
        self._task = task
        self._numbers = {id(rule): number for number, rule in enumerate(task.rules)}
        self._engine = build_engine((*task.rules, *task.bases), self._on_error)
        self._router = Router(task.correlations)
        self._aliases = known_aliases()
        self._mixed = False
        self.begin()

    def begin(self, namespace: str = _RECEIPT.namespace) -> None:
        """Start a new piece, of this namespace: counts and ordinals begin at 0."""
        self._receipt = dataclasses.replace(_RECEIPT, namespace=namespace)
        self.counts = Counts()
        self.named: list[Refusal] = []
        self.raised: Counter[str] = Counter()
        self._strays: list[tuple[int, Format, bytes]] = []

    def matches(self, format_: Format, records: Sequence[bytes], *, mixed: bool = False) -> Iterator[Match | Traced]:
        """Every match and signal in the next records of the piece, in the order of records, then of rules.

        Args:
            mixed: Whether a record that is of another format is evaluated as that; else it is refused.
        """
        self._mixed = mixed
        for start in range(0, len(records), BATCH):
            yield from self._batch(format_, records[start : start + BATCH])

    def _batch(self, format_: Format, records: Sequence[bytes]) -> Iterator[Match | Traced]:
        before = self.counts.events
        self.counts.events += len(records)
        engine = self._engine
        if isinstance(engine, CompiledEngine) and engine.arrangement(format_) is not None:
            found = self._on_bytes(engine, format_, records, before)
        else:
            found = self._on_views(format_, list(enumerate(records, before)))
        if not self._mixed:
            yield from found
            return
        together = [*found, *self._of_strays()]
        yield from sorted(together, key=lambda one: one.ordinal)

    def _of_strays(self) -> Iterator[Match | Traced]:
        """The matches of records that turned out to be of other formats."""
        strays, self._strays = self._strays, []
        for format_ in dict.fromkeys(format_ for _, format_, _ in strays):
            yield from self._on_views(format_, [(at, record) for at, other, record in strays if other is format_])

    def _on_bytes(
        self, engine: CompiledEngine, format_: Format, records: Sequence[bytes], before: int
    ) -> Iterator[Match | Traced]:
        """The fast way: only records that match are read as a whole."""
        seen: tuple[int, _Event | None] = (-1, None)
        told = engine.examine(records, format_, self._document_of(format_))
        assert told is not None, "the format has a shape, or this way is not taken"
        for place, rule in told.matches:
            if seen[0] != place:
                seen = (place, self._read(format_, records[place], before + place))
            if seen[1]:
                yield from self._found(format_, rule, before + place, seen[1])
        for place in told.unsure:
            try:
                format_.read(records[place])
            except RejectedRecord as exc:
                self._refuse(format_, records[place], before + place, exc)

    def _on_views(self, format_: Format, records: Sequence[tuple[int, bytes]]) -> Iterator[Match | Traced]:
        events: list[tuple[int, _Event]] = []
        for ordinal, record in records:
            event = self._read(format_, record, ordinal)
            if event and event.view.final:
                events.append((ordinal, event))
        for place, rule in self._engine.match([event.view for _, event in events], format_.log_source):
            yield from self._found(format_, rule, *events[place])

    def _read(self, format_: Format, record: bytes, ordinal: int) -> _Event | None:
        """A record as rules see it in the stream; without a document where normalising refuses it."""
        try:
            event = complete(format_, record, self._receipt, _RECEIPT.received_at)
        except RejectedRecord as exc:
            try:
                reading = format_.read(record)
            except RejectedRecord:
                self._refuse(format_, record, ordinal, exc)
                return None
            self.counts.undated += 1
            self._name(ordinal, exc, partly=True)
            view = reading.view()
            view.ecs = document_of(format_, record, self._receipt)
            return _Event(reading, view, None)
        view = event.reading.view()
        view.ecs = event.document
        return _Event(event.reading, view, event)

    def _found(self, format_: Format, rule: Rule, ordinal: int, event: _Event) -> Iterator[Match | Traced]:
        """What a match leads to: a hit, unless the rule only serves correlations, and signals."""
        at = event.view.ecs.get("@timestamp")
        if at is not None and not self._in_range(at):
            return
        own_id = event.reading.identify()
        uid = own_id or f"leaf:{leaf_hash(event.reading.record).hex()}"
        if id(rule) in self._numbers:
            yield self._match(format_, rule, ordinal, event, uid)
        if event.identified is None:  # what has no time is in no window
            return
        shown = self._entry(format_, event)
        for signal in self._router.signals(
            [(0, rule)], [event.view], [event.identified], format_.log_source, ruleset_version="", index_of=lambda _: ""
        ):
            yield Traced(ordinal, uid, own_id is None, msgspec.structs.replace(signal, context={}), shown)

    def _match(self, format_: Format, rule: Rule, ordinal: int, event: _Event, uid: str) -> Match:
        view = event.view
        fields = Fields(view, self._aliases.get(format_.log_source, {}))
        principal = principal_of(view.ecs)
        return Match(
            rule=self._numbers[id(rule)],
            ordinal=ordinal,
            uid=uid,
            by_leaf=event.reading.identify() is None,
            at=view.ecs.get("@timestamp"),
            principal=principal.display or principal.key,
            reason=word_reason(rule.reason or rule.title, fields),
            member=short_member(view.member or uid),
            group_key=group_key(fields, rule.suppression.by),
            entry=self._entry(format_, event),
            namespace=self._receipt.namespace,
        )

    def _document_of(self, format_: Format) -> DocumentOf:
        return lambda _, reading: document_of(format_, reading.record, self._receipt)

    def _entry(self, format_: Format, event: _Event) -> str:
        return entry(format_.name, event.view, event.reading.shown) if self._task.entries else ""

    def _in_range(self, at: str) -> bool:
        task = self._task
        if task.since is None and task.until is None:
            return True
        moment = dt.datetime.fromisoformat(at)
        return (task.since is None or moment >= task.since) and (task.until is None or moment < task.until)

    def _refuse(self, format_: Format, record: bytes, ordinal: int, error: RejectedRecord) -> None:
        """Keep a record that its format refuses for another one, or count it."""
        others = [name for name in formats_of(record) if name != format_.name] if self._mixed else []
        if len(others) == 1:
            self._strays.append((ordinal, format_named(others[0]), record))
            return
        self.counts.refused += 1
        self._name(ordinal, error, partly=False)

    def _name(self, ordinal: int, error: RejectedRecord, *, partly: bool) -> None:
        if len(self.named) < MOST_NAMED:
            place = f" at {error.where}" if error.where else ""
            self.named.append(Refusal(ordinal, f"{error.what}{place}", partly))

    def _on_error(self, rule: Rule, _: Any) -> None:
        self.raised[rule.id] += 1
