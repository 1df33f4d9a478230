"""From alerts of correlations to the signals of those that build upon them."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from detectors.correlation.alerts import alert_id
from detectors.correlation.model import Correlation
from detectors.correlation.state import Alert, Brought, Entry, Signal
from detectors.correlation.succession import Succession
from detectors.correlation.values import computes, numbers_in

MAX_GROUPS = 32  # that one event may belong to, where it has several values


class _Foreign(NamedTuple):
    """Fields of matches of another correlation: those to group by, and those for correlations still further above."""

    needed: tuple[str, ...]
    further: tuple[str, ...]


class Chaining:
    """Knows what correlations ask of the matches of those below."""

    def __init__(
        self,
        correlations: Mapping[str, Correlation],
        places: Mapping[str, tuple[str, ...]],
        succession: Succession,
        left_out: Counter[str],
    ) -> None:
        """Of a rule set.

        Args:
            correlations: By id.
            places: Of the words in signals of each.
            succession: Stamps signals.
            left_out: Counts matches that no signal tells above, by the correlation above.
        """
        self._places = places
        self._succession = succession
        self._left_out = left_out
        self._foreign = {
            (one.id, name): _foreign(one, correlations[name])
            for one in correlations.values()
            for name in one.chained
            if name in correlations
        }

    def signals(self, above: Iterable[Correlation], below: Correlation, alert: Alert) -> list[Signal]:
        """What some correlations get of an alert of one below: a signal for each match that satisfied it.

        Where they group by a field that the one below neither groups by nor carries: one for each value that a match of
        its window has.
        """
        found: list[Signal] = []
        for one in above:
            foreign = self._foreign[one.id, below.id]
            reached = alert.reached if any(foreign) else ((entry, ()) for entry in alert.fired)
            signals: dict[Any, Signal] = {}
            for entry, brought in reached:
                for known in self._ways(one, foreign, _known(below, alert.signal, entry), brought):
                    signal = self._above(one, below, alert, entry, known)
                    if signal is not None:  # another match of the same alert may have what this one lacks
                        signals[signal.at, signal.member, signal.by, signal.brought] = signal
            if not signals and (alert.fired or alert.reached):
                self._left_out[one.id] += 1  # no match has what it groups by
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
        self._left_out[one.id] += math.prod(map(len, columns)) - len(ways)
        yield from (known | dict(way) for way in ways)

    def _above(
        self, one: Correlation, below: Correlation, alert: Alert, entry: Entry, known: Mapping[str, str]
    ) -> Signal | None:
        """The signal of a match of one correlation for another; None when it lacks a field that the other groups by."""
        names = {name: one.field_for(name, below.id) for name in (*one.group_by, *one.fields, *one.carry, *one.brought)}
        if any(names[name] not in known for name in (*one.group_by, *one.fields)):
            return None
        texts = [json.loads(known[names[name]]) for name in one.fields]
        values: tuple[str | float, ...] = numbers_in(texts) if computes(one) else tuple(texts)
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
            ruleset_version=self._succession.maker.version or alert.signal.ruleset_version,
            values=values,
            principal=alert.signal.principal,
            words=_carried(self._places[one.id], self._places[below.id], alert.signal.words),
            context=alert.signal.context,
            taken=self._succession.maker.taken,
            brought=tuple((name, (known[names[name]],)) for name in one.brought if names[name] in known),
            **self._succession.stamp(one.id, below.id)._asdict(),
        )


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


def _carried(wanted: tuple[str, ...], places: tuple[str, ...], words: tuple[str, ...]) -> tuple[str, ...]:
    """Words for other places than they were made for, where both have them."""
    known = dict(zip(places, words, strict=False))
    return tuple(known.get(place, f"(unknown {place})") for place in wanted)
