"""Rule sets follow each other, and not at one moment on all workers: what a signal of another set is good for.

A signal says which rule set its maker had and since when, and what its correlation was there (`Stamp`). Who meets it:

* has the correlation with the same `lineage`: takes it;
* has another one, and the set of the maker is newer: waits for that set (`Succession.awaits`);
* has another one, and is the newer itself: takes what was read from the same fields (`form`), and leaves out the rest.

So a correlation judges every match that was evaluated by a set with it, however far apart the workers reload.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from detectors.correlation.model import Correlation
from detectors.correlation.state import Signal


class Stamp(NamedTuple):
    """What the maker of a signal knew of its correlation, as digests.

    Attributes:
        lineage: The correlation and all that build upon it, as far as they decide on alerts.
        form: The fields that were read from matches of the signal's rule.
        wording: The places that `Signal.words` fill.
    """

    lineage: str
    form: str
    wording: str


class Maker(NamedTuple):
    """Who made a signal, or wrote a state: the version of its rule set, and when it took that (ms, its own clock)."""

    version: str
    taken: int


class Succession:
    """The rule set of a worker, and the ones that it had before."""

    def __init__(
        self, correlations: Mapping[str, Correlation], places: Mapping[str, tuple[str, ...]], maker: Maker
    ) -> None:
        """Of the set in force.

        Args:
            correlations: By id, each behind those it builds upon.
            places: Of the words in signals of each.
        """
        self.maker = maker
        self._former: set[str] = set()
        self._correlations = correlations
        self._lineages = _lineages(correlations)
        self._stamps = {
            (one.id, rule): Stamp(self._lineages[one.id], _form(one, rule), _digest(places[one.id]))
            for one in correlations.values()
            for rule in one.rules
        }

    def follows(self, earlier: Succession) -> None:
        """This set takes the place of another, on the same worker."""
        self._former |= earlier._former | {earlier.maker.version}
        self._former.discard(self.maker.version)

    def had(self, version: str) -> bool:
        """Whether a set is this one, or known to be one before it."""
        return version == self.maker.version or version in self._former

    def comes_after(self, versions: Iterable[str]) -> None:
        """These sets were in force before this one, if not on this worker."""
        self._former.update(versions)

    def stamp(self, correlation: str, rule: str) -> Stamp:
        """Of signals from matches of a rule."""
        return self._stamps[correlation, rule]

    def usable(self, signal: Signal) -> Signal | None:
        """A signal as this set can use it; None when it has no such correlation, or other fields were read for it."""
        stamp = self._stamps.get((signal.correlation, signal.rule))
        if stamp is None:
            return None
        if not signal.lineage:  # of a build before stamps
            return signal if len(signal.by) == len(self._correlations[signal.correlation].group_by) else None
        if signal.lineage != stamp.lineage and signal.form != stamp.form:
            return None
        return signal if signal.wording == stamp.wording else msgspec.structs.replace(signal, words=())

    def awaits(self, signal: Signal) -> bool:
        """Whether a set that this worker will have too, as far as it can know, should judge a signal."""
        known = self._stamps.get((signal.correlation, signal.rule))
        if known is not None and signal.lineage in ("", known.lineage):
            return False
        return self.awaits_set(Maker(signal.ruleset_version, signal.taken))

    def awaits_set(self, maker: Maker) -> bool:
        """Whether a set is not this one nor, as far as this worker can know, one before it."""
        if maker.version == self.maker.version:
            return False
        return maker.version not in self._former or maker.taken > self.maker.taken


def _lineages(correlations: Mapping[str, Correlation]) -> dict[str, str]:
    """Id → digest of a correlation and of all that build upon it."""
    above: dict[str, list[str]] = {}
    for one in reversed(list(correlations.values())):  # those above come first
        lineage = _digest((one.state_version, *sorted(above.get(one.id, ()))))
        for name in one.chained:
            above.setdefault(name, []).append(lineage)
        above[one.id] = [lineage]
    return {name: lineages[0] for name, lineages in above.items() if name in correlations}


def _form(one: Correlation, rule: str) -> str:
    groups, values, carried = (
        [one.field_for(name, rule) for name in names] for names in (one.group_by, one.fields, one.carry)
    )
    kept = one.state_version if one.terms else ""  # a signal of a new term is sent once a day, so it can't be shared
    return _digest((groups, values, carried, one.kind if values else "", kept))


def _digest(content: Iterable[object]) -> str:
    return hashlib.sha256(msgspec.json.encode(list(content))).hexdigest()[:12]
