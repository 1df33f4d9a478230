"""What a correlation is: one rule over the matches of other rules, per group, over event time.

Two ways to decide, and why both give the same alerts whatever the order of arrival (within the lateness):

* **At once.** For conditions that more events can only make true (`gte` counts and sums, temporal without `not`), a
  match is decided when its signal arrives. "The window that ends with this match satisfies the condition" is then a
  property that only grows with the set of signals: whichever order they arrive in, the same matches satisfy it.
* **Settled.** For all others (`lt`, `eq`, averages, `not`), a match is decided when no signal that is late by less than
  `lateness` can change the answer any more, once.

`rate` compares with buckets that are over, and waits for the lateness of those only. `new_terms` is settled.

An alert is a *cell*: the matches of one group that satisfy the condition within one stretch of `cell_ms`, aligned to
1970. Its id follows from rule, version, namespace, group and cell, its members are the signals in the satisfying
windows: neither depends on the order of arrival.

Specification: https://sigmahq.io/sigma-specification/specification/sigma-correlation-rules-specification.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from detectors.rule import Rule

Kind = Literal[
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
    "new_terms",
    "rate",
]
Order = Literal["=", "!=", "<", "<=", ">", ">="]

DAY_MS = 24 * 3600 * 1000
DEFAULT_LATENESS_MS = 15 * 60 * 1000
"""CloudTrail delivers most files within 5 and nearly all within 15 minutes."""

NUMERIC: frozenset[str] = frozenset(("value_sum", "value_avg", "value_percentile", "value_median"))
TEMPORAL: frozenset[str] = frozenset(("temporal", "temporal_ordered"))


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number compared with a bound, or with several.

    Attributes:
        others: Further comparisons that must hold as well (`{gt: 100, lte: 200}`).
    """

    order: Order
    bound: float
    others: tuple[Threshold, ...] = ()

    def holds(self, number: float) -> bool:
        """Whether the number passes."""
        return self._passes(number) and all(other.holds(number) for other in self.others)

    def _passes(self, number: float) -> bool:
        match self.order:
            case ">=":
                return number >= self.bound
            case ">":
                return number > self.bound
            case "<":
                return number < self.bound
            case "<=":
                return number <= self.bound
            case "=":
                return number == self.bound
            case "!=":
                return number != self.bound

    @property
    def grows(self) -> bool:
        """Whether a larger number can only make it true."""
        return self.order in (">", ">=") and all(other.grows for other in self.others)

    @property
    def largest(self) -> float:
        """The largest bound."""
        return max(self.bound, *(other.largest for other in self.others)) if self.others else self.bound


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to satisfy a temporal condition, as positions in `Correlation.rules`.

    Attributes:
        needs: Rules that must match, in the order of the document (which is that of time, if ordered).
        lacks: Rules that must not match.
    """

    needs: tuple[int, ...]
    lacks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """Settings of `new_terms`, in whole days of UTC.

    Attributes:
        history_days: A value is new when the group did not use it on as many days before.
        learning_days: A group is silent on its first days.
    """

    history_days: int
    learning_days: int


@dataclass(frozen=True, slots=True)
class Rate:
    """Settings of `rate`; a bucket is one timespan.

    Attributes:
        factor: The count of a bucket must be over `factor` times the baseline.
        minimum: And at least this.
        quantile: The baseline is this quantile (nearest rank) of the counts of the history, empty buckets included.
        history: Buckets looked back at.
        learning: Buckets since the group's first one before it can fire.
    """

    factor: float
    minimum: int
    quantile: float
    history: int
    learning: int


@dataclass(frozen=True, slots=True)
class Correlation:
    """One correlation, linked to the rules it refers to.

    Attributes:
        rule: Its metadata; its condition matches no event.
        rules: Ids of the rules it refers to, in the order of the document.
        chained: Those of them that are correlations.
        group_by: Fields (or aliases) whose values make a group.
        aliases: Name → rule id → field.
        lateness_ms: How late a signal may be; contains the delay of the correlations it builds upon.
        cell_ms: Length of an alert.
        carry: Fields that correlations upon it use as the match has them that completes this one.
        brought: Other fields that correlations upon it group by: each match brings its values.
        fields: Fields of the values that are counted or computed with.
        percentile: Of `value_percentile`; None: the share in percent that the match's value has in its window.
        at_once: See above.
        silent: It only serves correlations of its own file and raises no alert by itself.
        limit: Signals kept per group.
        fold_by: Positions in `group_by` of the fields whose values make an alert; None: the group makes it.
        state_version: A state of another version is not used.
    """

    rule: Rule
    kind: Kind
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    timespan_ms: int
    lateness_ms: int
    cell_ms: int
    at_once: bool
    generate: bool = False
    silent: bool = False
    chained: frozenset[str] = frozenset()
    aliases: Mapping[str, Mapping[str, str]] | None = None
    carry: tuple[str, ...] = ()
    brought: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    threshold: Threshold | None = None
    percentile: int | None = None
    alternatives: tuple[Alternative, ...] = ()
    terms: Terms | None = None
    rate: Rate | None = None
    limit: int = 500
    fold_by: tuple[int, ...] | None = None
    state_version: str = ""

    @property
    def id(self) -> str:
        """Id of the rule."""
        return self.rule.id

    @property
    def looks_ahead(self) -> bool:
        """Whether a match is judged by what follows it, too."""
        return any(alternative.lacks for alternative in self.alternatives)

    @property
    def delay_ms(self) -> int:
        """How long after its event time a match may be decided."""
        if self.at_once:
            return 0
        return self.lateness_ms + (self.timespan_ms if self.looks_ahead else 0)

    @property
    def counts_units(self) -> bool:
        """Whether several signals may be one (matches of one alert of another correlation)."""
        return bool(self.chained)

    def gives(self, name: str) -> bool:
        """Whether each match of it has one value of a field."""
        return name in self.group_by or name in self.carry

    def field_for(self, name: str, rule_id: str) -> str:
        """The field that an alias or a plain name means in the events of a rule."""
        return (self.aliases or {}).get(name, {}).get(rule_id, name)
