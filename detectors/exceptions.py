"""Exceptions at work: which matches they keep from people, on a given day. Pure; the day is an argument."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from detectors.rule import Rule
from detectors.sigma.engine import known_aliases
from detectors.sigma.fields import Fields
from detectors.sigma.filters import Filter
from detectors.sigma.interpret import holds
from ingest.formats.contract import LogSource, View


class Exceptions:
    """The exceptions of a rule set.

    Attributes:
        counts: (exception, rule) → matches kept back since the counts were last cleared.
    """

    def __init__(
        self, exceptions: Iterable[Filter], on_error: Callable[[Filter, Exception], None] | None = None
    ) -> None:
        """Keep them; which rule each covers is found at that rule's first match.

        Args:
            exceptions: The exceptions.
            on_error: Told of one that raised on an event; it keeps nothing back there.
        """
        self._all = tuple(exceptions)
        self._on_error = on_error
        self._of: dict[str, tuple[Filter, ...]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    def states(self, today: dt.date) -> dict[str, int]:
        """How many are `in_force` on a day, and how many have `expired`."""
        expired = sum(not one.in_force(today) for one in self._all)
        return {"in_force": len(self._all) - expired, "expired": expired}

    def left(
        self,
        matches: Sequence[tuple[int, Rule]],
        views: Sequence[View],
        source: LogSource,
        namespace: str,
        today: dt.date,
    ) -> list[tuple[int, Rule]]:
        """The matches that no exception keeps back; those that one does are counted.

        Args:
            matches: (Place in `views`, rule), as an engine gives them.
            source: Log source of the events.
        """
        if not self._all:
            return list(matches)
        aliases = known_aliases().get(source, {})
        kept = []
        for place, rule in matches:
            by = self._keeping_back(rule, views[place], aliases, namespace, today)
            if by is None:
                kept.append((place, rule))
            else:
                self.counts[by.id, rule.id] += 1
        return kept

    def _keeping_back(
        self, rule: Rule, view: View, aliases: Mapping[str, str], namespace: str, today: dt.date
    ) -> Filter | None:
        for one in self._covering(rule):
            here = one.in_force(today) and (not one.namespaces or namespace in one.namespaces)
            if here and not self._keeps(one, Fields(view, aliases)):
                return one
        return None

    def _keeps(self, one: Filter, fields: Fields) -> bool:
        try:
            return holds(one.keeps, fields)
        except Exception as exc:  # noqa: BLE001 - an exception that can't be judged must not hide an alert, nor stop one
            if self._on_error:
                self._on_error(one, exc)
            return True

    def _covering(self, rule: Rule) -> tuple[Filter, ...]:
        found = self._of.get(rule.id)
        if found is None:
            found = self._of[rule.id] = tuple(one for one in self._all if one.covers(rule))
        return found
