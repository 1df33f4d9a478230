"""The general way: rules of one log source over views, with whatever names and types they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from detectors.rule import Rule
from detectors.sigma.compiled.judge import Judge
from detectors.sigma.compiled.memo import LONGEST_TEXT, Memo
from detectors.sigma.compiled.prepared import Decision, prepare, witnessed_by
from detectors.sigma.compiled.tree import OneOf, Tree, leaves
from detectors.sigma.engine import OnError
from detectors.sigma.fields import Fields, Readable
from ingest.formats.contract import View

KEYS_REMEMBERED: Final = 8192
VALUES_REMEMBERED: Final = 4096
_MOST_KEY_FIELDS = 4
_LEAST_SHARE = 0.1  # of the rules have to test a field for it to be worth a part of the key

Values = tuple[Any, ...]


class ViewProgram:
    """Rules of one log source, specialised for the values of the fields that most of them test.

    Attributes:
        decisions: What is remembered of keys.
        interpreted: Rules that could not be compiled.
    """

    def __init__(self, rules: Sequence[tuple[int, Rule]], aliases: Mapping[str, str], on_error: OnError | None) -> None:
        self._rules = rules
        self._aliases = aliases
        self._keys: tuple[str, ...] = ()
        self._prepared = prepare(
            rules,
            name_of=lambda name: name,
            key_fields=self._choose_keys,
            remembered=lambda _name: True,
        )
        self._judge = Judge(self._prepared, on_error)
        self.decisions: Memo[tuple[Any, ...], Decision] = Memo(KEYS_REMEMBERED)
        self._remembered = [
            (name, tests, Memo[str, tuple[int, ...]](VALUES_REMEMBERED))
            for name, tests in self._prepared.remembered.items()
        ]
        self.interpreted = tuple(self._prepared.interpreted)

    def match(self, view: View) -> list[int]:
        """Numbers of the rules that hold on a view, in order; on one that is not final none do."""
        if not view.final:
            return []
        fields = Fields(view, self._aliases)
        found: list[int] = []
        try:
            decision = self._decision(fields)
            suspects = self._suspects(fields)
        except Exception:  # noqa: BLE001 - an event that can't be looked at: each rule tells for itself
            return [number for number, rule in self._rules if self._judge.interpreted(rule, fields)]
        found.extend(decision.sure)
        self._judge.add_holding(found, ((number, check) for number, _, check in decision.open_), fields)
        if suspects:
            self._judge.add_candidates(found, suspects, fields)
        return sorted(found)

    def _choose_keys(self, trees: Sequence[Tree]) -> frozenset[str]:
        counted: Counter[str] = Counter()
        for tree in trees:
            counted.update({leaf.field for leaf in leaves(tree) if isinstance(leaf, OneOf)})
        least = max(1, len(trees) * _LEAST_SHARE)
        self._keys = tuple(name for name, count in counted.most_common(_MOST_KEY_FIELDS) if count >= least)
        return frozenset(self._keys)

    def _decision(self, fields: Readable) -> Decision:
        known = {name: fields.values(name) for name in self._keys}
        key = tuple(map(_memo_key, known.values()))
        if None in key:
            return self._prepared.decide(known)
        found = self.decisions.young.get(key) or self.decisions.older(key)
        if found is None:
            found = self._prepared.decide(known)
            self.decisions.put(key, found)
        return found

    def _suspects(self, fields: Readable) -> list[int]:
        """Rules of which a remembered field has a value that may make them hold."""
        found: list[int] = []
        for name, tests, memo in self._remembered:
            values = fields.values(name)
            if not values:
                continue
            if len(values) > 1 or values[0].__class__ is not str or len(values[0]) > LONGEST_TEXT:
                found.extend(witnessed_by(tests, values))
                continue
            numbers = memo.young.get(values[0])
            if numbers is None:
                numbers = memo.older(values[0])
            if numbers is None:
                numbers = tuple(dict.fromkeys(witnessed_by(tests, values)))
                memo.put(values[0], numbers)
            found.extend(numbers)
        return found


def _memo_key(values: Values) -> tuple[Any, ...] | str | None:
    """Values so that equal keys mean equal values; None for what is not worth remembering.

    Python takes 1, 1.0 and True for equal, which rules do not; so a value that is no text is told with its type.
    """
    if len(values) == 1 and values[0].__class__ is str:
        return values[0] if len(values[0]) <= LONGEST_TEXT else None
    if len(values) > _MOST_KEY_FIELDS:
        return None
    parts: list[Any] = []
    for value in values:
        kind = value.__class__
        if (kind is str and len(value) > LONGEST_TEXT) or kind not in _PLAIN:
            return None
        parts.append(value if kind is str else (kind.__name__, repr(value) if kind is float else value))
    return tuple(parts)


_PLAIN: Final[Iterable[type]] = frozenset({str, bool, int, float, type(None)})
