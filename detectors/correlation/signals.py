"""From matches of rules to signals, and from alerts of correlations to the signals of those that build upon them."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from detectors.correlation.alerts import alert_id, field_places
from detectors.correlation.model import DAY_MS, NUMERIC, Correlation
from detectors.correlation.state import Alert, Brought, Entry, Signal
from detectors.correlation.succession import Maker, Succession
from detectors.detection import EventRef, Principal, context_of, principal_of, short_member
from detectors.reason import word_reason
from detectors.rule import Rule
from detectors.sigma.engine import known_aliases
from detectors.sigma.fields import Fields
from detectors.sigma.values import number_of, text_of
from ingest.document import Identified
from ingest.formats.contract import LogSource, View

MAX_VALUES = 100  # of one field of one event
MAX_GROUPS = 32  # that one event may belong to, where it has several values
MAX_NUMBER = 1e200  # a larger one is no number of anything, and a few would exceed what can be summed up
MAX_VALUE = 256  # bytes in UTF-8; a longer one is cut and told apart by its hash: a state must fit into a message
MAX_REMEMBERED = 200_000  # of new terms that were sent on one day


class _Foreign(NamedTuple):
    """Fields of matches of another correlation: those to group by, and those for correlations still further above."""

    needed: tuple[str, ...]
    further: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the signals of one event have in common."""

    place: int
    fields: Fields
    namespace: str
    format: str
    at: int
    seen: int
    member: str
    event: EventRef
    principal: Principal
    context: Mapping[str, Any]


def _facts(place: int, view: View, event: Identified, fields: Fields, index_of: Callable[[Identified], str]) -> _Facts:
    document = event.document
    return _Facts(
        place=place,
        fields=fields,
        namespace=document["data_stream"]["namespace"],
        format=document["skytrail"]["format"],
        at=_millis(document["@timestamp"]),
        seen=_millis(document["event"]["created"]),
        member=short_member(view.member or event.uid),
        event=EventRef(index=index_of(event), id=event.id, hash=event.leaf.hex()),
        principal=principal_of(document),
        context=context_of(document),
    )


class Router:
    """Knows which correlations build upon a rule.

    Attributes:
        left_out: Correlation id → matches that could not be grouped, or lack the value.
        succession: What signals of other rule sets are good for.
    """

    def __init__(self, correlations: Iterable[Correlation], *, version: str = "", taken: int = 0) -> None:
        """Route to these.

        Args:
            correlations: Each behind those it builds upon.
            version: Of the rule set that they belong to.
            taken: When this worker took it, ms.
        """
        self.correlations: Mapping[str, Correlation] = {one.id: one for one in correlations}
        self.left_out: Counter[str] = Counter()
        self._by_rule: dict[str, list[Correlation]] = {}
        for one in self.correlations.values():
            for rule in one.rules:
                self._by_rule.setdefault(rule, []).append(one)
        self._places = {one.id: tuple(dict.fromkeys(self._wanted(one, set()))) for one in self.correlations.values()}
        self._foreign = {
            (one.id, name): _foreign(one, self.correlations[name])
            for one in self.correlations.values()
            for name in one.chained
            if name in self.correlations
        }
        self.succession = Succession(self.correlations, self._places, Maker(version, taken))
        self._sent: tuple[dict[Any, tuple[int, str]], dict[Any, tuple[int, str]]] = ({}, {})

    def signals(
        self,
        matches: Iterable[tuple[int, Rule]],
        views: Sequence[View],
        identified: Sequence[Identified],
        source: LogSource,
        *,
        ruleset_version: str,
        index_of: Callable[[Identified], str],
    ) -> list[Signal]:
        """The signals of some matches, as `Engine.match` gives them; other arguments as for `detect`."""
        aliases = known_aliases().get(source, {})
        found: list[Signal] = []
        facts: _Facts | None = None
        for place, rule in matches:
            if rule.id not in self._by_rule:
                continue
            if facts is None or facts.place != place:
                facts = _facts(place, views[place], identified[place], Fields(views[place], aliases), index_of)
            for one in self._by_rule[rule.id]:
                groups, values = self._groups(one, rule, facts.fields), self._values(one, rule, facts.fields)
                if not groups or values is None:
                    self.left_out[one.id] += 1
                    continue
                for by in groups:
                    fresh = self._news(one, facts, by, values)
                    if fresh is not None:
                        found.append(self._signal(one, rule, facts, by, fresh, ruleset_version))
        return found

    def _signal(
        self,
        one: Correlation,
        rule: Rule,
        facts: _Facts,
        by: tuple[str, ...],
        values: tuple[str | float, ...],
        ruleset_version: str,
    ) -> Signal:
        return Signal(
            correlation=one.id,
            namespace=facts.namespace,
            by=by,
            rule=rule.id,
            at=facts.at,
            seen=facts.seen,
            member=facts.member,
            unit=facts.member,
            event=facts.event,
            format=facts.format,
            ruleset_version=ruleset_version,
            values=values,
            principal=facts.principal,
            words=tuple(word_reason(f"{{{name}}}", facts.fields) for name in self._places[one.id]),
            context=facts.context,
            taken=self.succession.maker.taken,
            brought=self._brought(one, rule, facts.fields),
            **self.succession.stamp(one.id, rule.id)._asdict(),
        )

    def chained(self, below: Correlation, alert: Alert) -> list[Signal]:
        """What correlations that build upon one get of its alert: a signal for each match that satisfied it.

        Where they group by a field that it neither groups by nor carries: one for each value that a match of its window
        has.
        """
        found: list[Signal] = []
        for one in self._by_rule.get(below.id, ()):
            foreign = self._foreign[one.id, below.id]
            reached = alert.reached if any(foreign) else ((entry, ()) for entry in alert.fired)
            signals: dict[Any, Signal] = {}
            for entry, brought in reached:
                for known in self._ways(one, foreign, _known(below, alert.signal, entry), brought):
                    signal = self._above(one, below, alert, entry, known)
                    if signal is not None:  # another match of the same alert may have what this one lacks
                        signals[signal.at, signal.member, signal.by, signal.brought] = signal
            if not signals and (alert.fired or alert.reached):
                self.left_out[one.id] += 1  # no match has what it groups by
            found.extend(signals.values())
        return found

    def _ways(
        self, one: Correlation, foreign: _Foreign, known: dict[str, str], brought: Brought
    ) -> Iterator[dict[str, str]]:
        """Field → value as JSON text, for each combination of values that one match brings."""
        given = dict(brought)
        columns = [[(name, value) for value in given.get(name, ())] for name in foreign.needed]
        columns += [[(name, value) for value in given[name]] for name in foreign.further if name in given]
        ways = list(itertools.islice(itertools.product(*columns), MAX_GROUPS))
        self.left_out[one.id] += math.prod(map(len, columns)) - len(ways)
        yield from (known | dict(way) for way in ways)

    def _above(
        self, one: Correlation, below: Correlation, alert: Alert, entry: Entry, known: Mapping[str, str]
    ) -> Signal | None:
        """The signal of a match of one correlation for another; None when it lacks a field that the other groups by."""
        names = {name: one.field_for(name, below.id) for name in (*one.group_by, *one.fields, *one.carry, *one.brought)}
        if any(names[name] not in known for name in (*one.group_by, *one.fields)):
            return None
        texts = [json.loads(known[names[name]]) for name in one.fields]
        values: tuple[str | float, ...] = _numbers(texts) if _computes(one) else tuple(texts)
        if one.carry:
            values = tuple(known.get(names[name], "") for name in one.carry)
        return Signal(
            correlation=one.id,
            namespace=alert.signal.namespace,
            by=tuple(known[names[name]] for name in one.group_by),
            rule=below.id,
            at=entry.at,
            seen=alert.signal.seen,
            member=entry.member,
            unit=alert_id(below, alert.signal, alert.cell),
            event=entry.event,
            format=alert.signal.format,
            ruleset_version=self.succession.maker.version or alert.signal.ruleset_version,
            values=values,
            principal=alert.signal.principal,
            words=_carried(self._places[one.id], self._places[below.id], alert.signal.words),
            context=alert.signal.context,
            taken=self.succession.maker.taken,
            brought=tuple((name, (known[names[name]],)) for name in one.brought if names[name] in known),
            **self.succession.stamp(one.id, below.id)._asdict(),
        )

    def _wanted(self, one: Correlation, seen: set[str]) -> Iterator[str]:
        """Fields that the reason of a correlation shows, and then those of the correlations that build upon it."""
        if one.id not in seen:
            seen.add(one.id)
            yield from field_places(one.rule.reason or one.rule.title)
            for above in self._by_rule.get(one.id, ()):
                yield from self._wanted(above, seen)

    def _brought(self, one: Correlation, rule: Rule, fields: Fields) -> Brought:
        """What an event brings to correlations that build upon one."""
        columns = [(name, _texts(fields, one.field_for(name, rule.id))) for name in one.brought]
        self.left_out[one.id] += sum(max(0, len(texts) - MAX_GROUPS) for _, texts in columns)
        return tuple((name, tuple(texts[:MAX_GROUPS])) for name, texts in columns if texts)

    def _groups(self, one: Correlation, rule: Rule, fields: Fields) -> list[tuple[str, ...]]:
        """The values of the groups an event belongs to: one for each value of a field; none when it lacks a field."""
        columns = [_texts(fields, one.field_for(name, rule.id)) for name in one.group_by]
        found = list(itertools.islice(itertools.product(*columns), MAX_GROUPS))
        self.left_out[one.id] += math.prod(map(len, columns)) - len(found)
        return found

    def _values(self, one: Correlation, rule: Rule, fields: Fields) -> tuple[str | float, ...] | None:
        """What is counted or computed with; None when the event has none."""
        if one.carry:
            return tuple(_first(fields.values(one.field_for(name, rule.id))) for name in one.carry)
        if not one.fields:
            return ()
        columns = [[v for v in fields.values(one.field_for(f, rule.id)) if v is not None] for f in one.fields]
        if _computes(one):
            numbers = _numbers(columns[0][:MAX_VALUES])
            if one.kind == "value_sum":  # a sum decided at once must only grow
                numbers = tuple(number for number in numbers if number >= 0)
            return numbers or None
        combined = itertools.islice(itertools.product(*columns), MAX_VALUES)
        texts = (_cut(" · ".join(text_of(part) for part in parts)) for parts in combined)
        return tuple(dict.fromkeys(texts)) or None

    def _news(
        self, one: Correlation, facts: _Facts, by: tuple[str, ...], values: tuple[str | float, ...]
    ) -> tuple[str | float, ...] | None:
        """The values to send; None when the signal would change nothing."""
        if not one.terms:
            return values
        day = facts.at // DAY_MS
        return tuple(v for v in values if self._is_news((one.id, facts.namespace, by, v, day), facts)) or None

    def _is_news(self, term: tuple[Any, ...], facts: _Facts) -> bool:
        """Whether a term was not sent for its day before, or only by a later use; spares the topic the rest."""
        young, old = self._sent
        use = (facts.at, facts.member)
        known = young.get(term) or old.get(term)
        if known is not None and known <= use:
            return False
        young[term] = use
        if len(young) > MAX_REMEMBERED // 2:
            self._sent = ({}, young)
        return True


def _known(below: Correlation, signal: Signal, entry: Entry) -> dict[str, str]:
    """Field → value as JSON text: what a match of a correlation has."""
    carried = {name: str(value) for name, value in zip(below.carry, entry.values, strict=False) if value}
    return carried | dict(zip(below.group_by, signal.by, strict=True))


def _foreign(one: Correlation, below: Correlation) -> _Foreign:
    """What a correlation asks of matches of another beyond what each of those gives."""
    needed, further = (
        tuple(dict.fromkeys(field for field in fields if not below.gives(field)))
        for fields in ([one.field_for(name, below.id) for name in names] for names in (one.group_by, one.brought))
    )
    return _Foreign(needed, tuple(field for field in further if field not in needed))


def _texts(fields: Fields, name: str) -> list[str]:
    """The values of a field as JSON texts, in order."""
    texts = {text_of(value) for value in fields.values(name) if value is not None}
    return sorted(json.dumps(_cut(text), ensure_ascii=False) for text in texts)


def _first(values: Iterable[Any]) -> str:
    """The smallest value of a field as JSON text, so that the order in a list decides nothing; empty without one."""
    texts = sorted(text_of(value) for value in values if value is not None)
    return json.dumps(_cut(texts[0]), ensure_ascii=False) if texts else ""


def _carried(wanted: tuple[str, ...], places: tuple[str, ...], words: tuple[str, ...]) -> tuple[str, ...]:
    """Words for other places than they were made for, where both have them."""
    known = dict(zip(places, words, strict=False))
    return tuple(known.get(place, f"(unknown {place})") for place in wanted)


@functools.lru_cache(maxsize=4096)
def _millis(timestamp: str) -> int:
    moment = dt.datetime.fromisoformat(timestamp)
    return math.floor(moment.timestamp()) * 1000 + moment.microsecond // 1000


def _computes(one: Correlation) -> bool:
    """Whether the values are numbers to compute with."""
    return one.kind in NUMERIC and not (one.kind == "value_percentile" and one.percentile is None)


def _numbers(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(number for number in map(_number, values) if number is not None)


def _number(value: Any) -> float | None:
    number = number_of(value)
    return float(number) if number is not None and -MAX_NUMBER <= number <= MAX_NUMBER else None


def _cut(text: str) -> str:
    written = text.encode("utf-8", "replace")  # lone surrogates can't be written
    if len(written) <= MAX_VALUE:
        return written.decode()
    digest = hashlib.sha256(written).hexdigest()
    return f"{written[: MAX_VALUE - 65].decode('utf-8', 'ignore')}#{digest}"
