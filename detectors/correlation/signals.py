"""From matches of rules to signals, and from alerts of correlations to the signals of those that build upon them."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from detectors.correlation.alerts import alert_id, field_places
from detectors.correlation.model import DAY_MS, NUMERIC, Correlation
from detectors.correlation.state import Alert, Signal
from detectors.detection import EventRef, context_of, principal_of, short_member
from detectors.reason import word_reason
from detectors.rule import Rule
from detectors.sigma.engine import known_aliases
from detectors.sigma.fields import Fields
from detectors.sigma.values import text_of
from ingest.document import Identified
from ingest.formats.contract import LogSource, View

MAX_VALUES = 100  # of one field of one event
MAX_VALUE = 256  # characters; a longer one is cut and told apart by its hash
MAX_REMEMBERED = 200_000  # of new terms that were sent on one day


class Router:
    """Knows which correlations build upon a rule.

    Attributes:
        left_out: Correlation id → matches that could not be grouped, or lack the value.
    """

    def __init__(self, correlations: Iterable[Correlation]) -> None:
        """Route to these."""
        self.correlations: Mapping[str, Correlation] = {one.id: one for one in correlations}
        self.left_out: Counter[str] = Counter()
        self._by_rule: dict[str, list[Correlation]] = {}
        for one in self.correlations.values():
            for rule in one.rules:
                self._by_rule.setdefault(rule, []).append(one)
        self._places = {one.id: tuple(dict.fromkeys(self._wanted(one))) for one in self.correlations.values()}
        self._sent: tuple[set[Any], set[Any]] = (set(), set())

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
        known: tuple[int, Fields] | None = None
        for place, rule in matches:
            if rule.id not in self._by_rule:
                continue
            if known is None or known[0] != place:
                known = (place, Fields(views[place], aliases))
            event, fields = identified[place], known[1]
            at = _millis(event.document["@timestamp"])
            member = short_member(views[place].member or event.uid)
            for one in self._by_rule[rule.id]:
                by, values = self._group(one, rule, fields), self._values(one, rule, fields)
                if by is None or values is None:
                    self.left_out[one.id] += 1
                    continue
                namespace = event.document["data_stream"]["namespace"]
                if one.terms:
                    values = tuple(v for v in values if self._is_news((one.id, namespace, by, v), at // DAY_MS))
                    if not values:
                        continue
                found.append(
                    Signal(
                        correlation=one.id,
                        namespace=namespace,
                        by=by,
                        rule=rule.id,
                        at=at,
                        member=member,
                        unit=member,
                        event=EventRef(index=index_of(event), id=event.id, hash=event.leaf.hex()),
                        format=event.document["skytrail"]["format"],
                        ruleset_version=ruleset_version,
                        values=values,
                        principal=principal_of(event.document),
                        words=tuple(word_reason(f"{{{name}}}", fields) for name in self._places[one.id]),
                        context=context_of(event.document),
                    )
                )
        return found

    def chained(self, below: Correlation, alert: Alert) -> list[Signal]:
        """What correlations that build upon one get of its alert: a signal for each match that satisfied it."""
        found = []
        unit = alert_id(below, alert.signal, alert.cell)
        for one in self._by_rule.get(below.id, ()):
            known = dict(zip(below.group_by, alert.signal.by, strict=True))
            values = [known[one.field_for(name, below.id)] for name in one.fields]
            found += [
                Signal(
                    correlation=one.id,
                    namespace=alert.signal.namespace,
                    by=tuple(known[one.field_for(name, below.id)] for name in one.group_by),
                    rule=below.id,
                    at=entry.at,
                    member=entry.member,
                    unit=unit,
                    event=entry.event,
                    format=alert.signal.format,
                    ruleset_version=alert.signal.ruleset_version,
                    values=tuple(values),
                    principal=alert.signal.principal,
                    words=_carried(self._places[one.id], self._places[below.id], alert.signal.words),
                    context=alert.signal.context,
                )
                for entry in alert.fired
            ]
        return found

    def _wanted(self, one: Correlation) -> Iterator[str]:
        """Fields that the reason of a correlation shows, and then those of the correlations that build upon it."""
        yield from field_places(one.rule.reason or one.rule.title)
        for above in self._by_rule.get(one.id, ()):
            yield from self._wanted(above)

    def _group(self, one: Correlation, rule: Rule, fields: Fields) -> tuple[str, ...] | None:
        """The group's values; None when the event lacks one."""
        found = []
        for name in one.group_by:
            texts = sorted({text_of(v) for v in fields.values(one.field_for(name, rule.id)) if v is not None})
            if not texts:
                return None
            found.append(_cut(json.dumps(texts, separators=(",", ":"))))
        return tuple(found)

    def _values(self, one: Correlation, rule: Rule, fields: Fields) -> tuple[str | float, ...] | None:
        """What is counted or computed with; None when the event has none."""
        if not one.fields:
            return ()
        columns = [[v for v in fields.values(one.field_for(f, rule.id)) if v is not None] for f in one.fields]
        if one.kind in NUMERIC and not (one.kind == "value_percentile" and one.percentile is None):
            numbers = [number for number in map(_number, columns[0][:MAX_VALUES]) if number is not None]
            if one.kind == "value_sum":  # a sum decided at once must only grow
                numbers = [number for number in numbers if number >= 0]
            return tuple(numbers) or None
        combined = itertools.islice(itertools.product(*columns), MAX_VALUES)
        texts = (_cut(" · ".join(text_of(part) for part in parts)) for parts in combined)
        return tuple(dict.fromkeys(texts)) or None

    def _is_news(self, term: tuple[Any, ...], day: int) -> bool:
        """Whether a term was not sent for this day before; spares the topic what changes nothing."""
        key = (term, day)
        young, old = self._sent
        if key in young or key in old:
            return False
        young.add(key)
        if len(young) > MAX_REMEMBERED // 2:
            self._sent = (set(), young)
        return True


def _carried(wanted: tuple[str, ...], places: tuple[str, ...], words: tuple[str, ...]) -> tuple[str, ...]:
    """Words for other places than they were made for, where both have them."""
    known = dict(zip(places, words, strict=False))
    return tuple(known.get(place, f"(unknown {place})") for place in wanted)


def _millis(timestamp: str) -> int:
    moment = dt.datetime.fromisoformat(timestamp)
    return math.floor(moment.timestamp()) * 1000 + moment.microsecond // 1000


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _cut(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()  # lone surrogates can't be written
    if len(text) <= MAX_VALUE:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[: MAX_VALUE - 65]}#{digest}"
