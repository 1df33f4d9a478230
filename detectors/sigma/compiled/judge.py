"""Evaluates what is left of rules on one event; a rule that raises is off for that event and reported."""

from __future__ import annotations

from collections.abc import Iterable

from detectors.rule import Rule
from detectors.sigma.compiled.predicates import Predicate
from detectors.sigma.compiled.prepared import Prepared
from detectors.sigma.engine import OnError
from detectors.sigma.fields import Readable
from detectors.sigma.interpret import holds
from ingest.schema.errors import RejectedRecord


class Judge:
    """Applies predicates; the interpreter has the last word on a rule whose predicate raises."""

    def __init__(self, prepared: Prepared, on_error: OnError | None) -> None:
        self._candidates = prepared.candidates
        self._on_error = on_error

    def add_holding(self, found: list[int], open_: Iterable[tuple[int, Predicate]], event: Readable) -> None:
        """Add the rules whose rest holds.

        Raises:
            RejectedRecord: The event can't be read.
        """
        for number, predicate in open_:
            try:
                if predicate(event):
                    found.append(number)
            except RejectedRecord:
                raise
            except Exception:  # noqa: BLE001 - the oracle decides whether it is the rule that raises
                if self.interpreted(self._candidates[number].rule, event):
                    found.append(number)

    def add_candidates(self, found: list[int], numbers: Iterable[int], event: Readable) -> None:
        """Add those of some rules that hold, each rule once.

        Raises:
            RejectedRecord: The event can't be read.
        """
        self.add_holding(found, ((number, self._candidates[number].check) for number in set(numbers)), event)

    def interpreted(self, rule: Rule, event: Readable) -> bool:
        """Whether a rule holds by the interpreter."""
        try:
            return holds(rule.condition, event)
        except RejectedRecord:
            raise
        except Exception as exc:  # noqa: BLE001 - one rule on one event must not stop the others; it is reported
            if self._on_error:
                self._on_error(rule, exc)
            return False
