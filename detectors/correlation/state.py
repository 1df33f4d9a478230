"""What a correlation remembers of a group. Plain values that msgpack writes as they are; times are ms since 1970."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from detectors.detection import EventRef, Principal

OWN_CELL = 1
NEXT_CELL = 2
FIRED = 4
Brought = tuple[tuple[str, tuple[str, ...]], ...]
"""Fields with the values of one match, as JSON texts: what correlations above group by, and this one does not."""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A match of a rule that a correlation builds upon.

    Attributes:
        correlation: Id of the correlation; a match of a rule in several of them is one signal for each.
        by: The values of the group's fields, each as JSON text, in the order of the correlation's `group_by`.
        rule: Id of the rule that matched.
        member: What counts once: the action, see `View.member`.
        unit: What a count counts once: the member, or the alert of the correlation that matched.
        seen: When its event was received, ms. Event times beyond are kept, but move no clock.
        values: Of the correlation's value fields.
        words: What stands in the places of the correlation's reason, for this event.
        context: Parts of the event that an alert repeats.
        lineage: With `form` and `wording`: what its maker knew of the correlation (`succession.py`); empty before.
        taken: When its maker took the rule set `ruleset_version`, ms.
        brought: Values of the fields `Correlation.brought`.
    """

    correlation: str
    namespace: str
    by: tuple[str, ...]
    rule: str
    at: int
    seen: int
    member: str
    unit: str
    event: EventRef
    format: str
    ruleset_version: str
    values: tuple[str | float, ...] = ()
    principal: Principal = Principal()
    words: tuple[str, ...] = ()
    context: Mapping[str, Any] = {}
    lineage: str = ""
    form: str = ""
    wording: str = ""
    taken: int = 0
    brought: Brought = ()

    @property
    def group(self) -> str:
        """Key of the group within correlation and namespace."""
        return f"[{','.join(self.by)}]"


class Entry(msgspec.Struct, array_like=True, gc=False):
    """A signal as a group keeps it.

    Attributes:
        rule: Position of its rule in `Correlation.rules`.
        unit: What a count counts once, see `Signal.unit`.
        told: Of which alerts it is a member already (`OWN_CELL`: that of its own time), and whether its window `FIRED`.
            The only attribute that changes.
        brought: As in the signal.
    """

    at: int
    member: str
    rule: int
    event: EventRef
    values: tuple[str | float, ...] = ()
    unit: str = ""
    told: int = 0
    brought: Brought = ()

    @property
    def place(self) -> tuple[int, str, int, Brought]:
        """Where it stands among the others; equal for the same signal only.

        A match of a correlation stands once for each value that it brings, one of an event once, whatever it brings.
        """
        return self.at, self.member, self.rule, self.brought if self.unit != self.member else ()


class GroupState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One group of one correlation, as it is written; the step changes it in place.

    Attributes:
        version: Of the correlation that wrote it; another starts anew.
        entries: Kept signals, ordered by `Entry.place`.
        newest: Latest event time of a signal, but never later than it was received: a wild clock moves nothing.
        settled: Up to and with this time everything is decided (not for correlations that decide at once).
        face: The latest signal, for the alert of a decision that no signal triggers.
        pending: `new_terms`: signals that wait for the day before theirs to be over.
        repeats: Signals that said what others say, no longer kept: an alert may list fewer members.
        cut: Other signals beyond the limit, no longer kept: an alert may be missed, except for the
        surplus: of them, that of groups that satisfied the condition without: in the order of time no alert is missed,
            one may list fewer members.
        late: Signals that came too late to count.
        terms: `new_terms`: value → last day it was used.
        counts: `rate`: bucket → signals in it, for those that are over.
        first: `new_terms`: first day, `rate`: first bucket of the group.
    """

    version: str
    entries: list[Entry] = []
    newest: int = 0
    settled: int = 0
    face: Signal | None = None
    pending: list[Signal] = []
    repeats: int = 0
    cut: int = 0
    surplus: int = 0
    late: int = 0
    terms: dict[str, int] = {}
    counts: dict[int, int] = {}
    first: int | None = None

    @property
    def weight(self) -> int:
        """About how much memory it takes, in kept signals."""
        return 2 + len(self.entries) + 4 * len(self.pending) + (len(self.terms) + len(self.counts)) // 4


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What a step found: an alert, or more members of one.

    Attributes:
        cell: Which alert of the group.
        at: Event time of the match that satisfied the condition.
        member: Its member.
        events: New members of the alert, ordered by time.
        opens: Whether the group did not tell of this alert before.
        signal: Whose words and context the alert shows.
        seen: Every match in the satisfying window, when `opens`; its `events` otherwise.
        measure: The number that was compared, when there is one.
        fired: The matches that satisfy the condition since this step; correlations build upon them.
        reached: Where matches bring values: matches that satisfy the condition, each with what a match of its window
            brings; some may have been told before.
    """

    cell: str
    at: int
    member: str
    events: tuple[Entry, ...]
    opens: bool
    signal: Signal
    seen: tuple[Entry, ...] = ()
    measure: float | None = None
    fired: tuple[Entry, ...] = ()
    reached: tuple[tuple[Entry, Brought], ...] = ()
