"""From matches of rules to signals, and from alerts of correlations to the signals of those that build upon them."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detectors.correlation.alerts import field_places
from detectors.correlation.chaining import MAX_GROUPS, Chaining
from detectors.correlation.model import DAY_MS, Correlation
from detectors.correlation.state import Alert, Brought, Signal
from detectors.correlation.succession import Maker, Succession
from detectors.correlation.values import computes, cut_text, numbers_in, smallest, texts_of
from detectors.detection import EventRef, Principal, context_of, principal_of, short_member
from detectors.reason import word_reason
from detectors.rule import Rule
from detectors.sigma.engine import known_aliases
from detectors.sigma.fields import Fields
from detectors.sigma.values import text_of
from ingest.document import Identified
from ingest.formats.contract import LogSource, View

MAX_VALUES = 100  # of one field of one event
MAX_REMEMBERED = 200_000  # of new terms that were sent on one day


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
        self.succession = Succession(self.correlations, self._places, Maker(version, taken))
        self._chaining = Chaining(self.correlations, self._places, self.succession, self.left_out)
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
        """What correlations that build upon one get of its alert."""
        return self._chaining.signals(self._by_rule.get(below.id, ()), below, alert)

    def _wanted(self, one: Correlation, seen: set[str]) -> Iterator[str]:
        """Fields that the reason of a correlation shows, and then those of the correlations that build upon it."""
        if one.id not in seen:
            seen.add(one.id)
            yield from field_places(one.rule.reason or one.rule.title)
            for above in self._by_rule.get(one.id, ()):
                yield from self._wanted(above, seen)

    def _brought(self, one: Correlation, rule: Rule, fields: Fields) -> Brought:
        """What an event brings to correlations that build upon one."""
        columns = [(name, texts_of(fields, one.field_for(name, rule.id))) for name in one.brought]
        self.left_out[one.id] += sum(max(0, len(texts) - MAX_GROUPS) for _, texts in columns)
        return tuple((name, tuple(texts[:MAX_GROUPS])) for name, texts in columns if texts)

    def _groups(self, one: Correlation, rule: Rule, fields: Fields) -> list[tuple[str, ...]]:
        """The values of the groups an event belongs to: one for each value of a field; none when it lacks a field."""
        columns = [texts_of(fields, one.field_for(name, rule.id)) for name in one.group_by]
        found = list(itertools.islice(itertools.product(*columns), MAX_GROUPS))
        self.left_out[one.id] += math.prod(map(len, columns)) - len(found)
        return found

    def _values(self, one: Correlation, rule: Rule, fields: Fields) -> tuple[str | float, ...] | None:
        """What is counted or computed with; None when the event has none."""
        if one.carry:
            return tuple(smallest(fields.values(one.field_for(name, rule.id))) for name in one.carry)
        if not one.fields:
            return ()
        columns = [[v for v in fields.values(one.field_for(f, rule.id)) if v is not None] for f in one.fields]
        if computes(one):
            numbers = numbers_in(columns[0][:MAX_VALUES])
            if one.kind == "value_sum":  # a sum decided at once must only grow
                numbers = tuple(number for number in numbers if number >= 0)
            return numbers or None
        combined = itertools.islice(itertools.product(*columns), MAX_VALUES)
        texts = (cut_text(" · ".join(text_of(part) for part in parts)) for parts in combined)
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


@functools.lru_cache(maxsize=4096)
def _millis(timestamp: str) -> int:
    moment = dt.datetime.fromisoformat(timestamp)
    return math.floor(moment.timestamp()) * 1000 + moment.microsecond // 1000
