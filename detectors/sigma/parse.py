"""Sigma YAML to our tree.

pySigma reads the attributes of the rule, its log source and its conditions; the search identifiers are read by
`selections.py` (docs/adr/0013-modifiers-of-our-own.md says why). A condition is given to pySigma with the numbers of
the search identifiers in place of what they hold, and comes back as a tree over those numbers.

Fails closed: whatever can't be evaluated refuses the rule with its place and the reason; nothing is left out silently.
What is only odd (a status of the future, a date in another form, a part that no condition names) becomes a warning.

Specification: https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sigma import conditions
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule
from sigma.rule.logsource import EmptyLogSource

from detectors.sigma import ast
from detectors.sigma.selections import Placeholders, selection
from ingest.formats.contract import LogSource
from ingest.schema.errors import ConfigError

_NOT_RULES = {
    "correlation": "a correlation rule, which is not evaluated event by event",
    "filter": "a Sigma filter, which changes other rules",
    "action": "a rule collection of the deprecated form (`action:`)",
}
_MEND = "correct the rule; docs/rules.md tells what is evaluated"
_SELECTOR = re.compile(r"\b(1|any|all)\s+of\s+([\w*-]+)")
MAX_CONDITION = 10_000  # characters of one condition


@dataclass(frozen=True, slots=True)
class ParsedSigma:
    """A rule as read: its document, where it applies, and its condition.

    Attributes:
        document: The YAML document; metadata and custom attributes are read from it.
        log_source: Parts that the rule leaves out are None; an absent product is "".
        warnings: What is odd and does not matter to the evaluation.
    """

    document: Mapping[str, Any]
    log_source: LogSource
    condition: ast.Condition
    warnings: tuple[str, ...] = field(default=())


def parse(document: Any, *, where: str, placeholders: Placeholders = MappingProxyType({})) -> ParsedSigma:
    """Read one YAML document as a Sigma rule.

    Args:
        document: What the YAML said.
        where: Name of the file, for errors.
        placeholders: Values for the modifier `expand`.

    Raises:
        ConfigError: Not a rule, or one that can't be evaluated; names the place inside the rule.
    """
    if not isinstance(document, Mapping):
        raise ConfigError(f"reading rule: a map is wanted, not {type(document).__name__}", where=where, mend=_MEND)
    for key, meaning in _NOT_RULES.items():
        if key in document:
            raise ConfigError(f"reading rule: this is {meaning}", where=f"{where}: {key}", mend=_MEND)
    detection = _detection_of(document, where)
    written = _conditions_of(detection, where)
    selections = {
        name: selection(body, place=f"{where}: detection.{name}", placeholders=placeholders)
        for name, body in detection.items()
        if name != "condition"
    }
    if not selections:
        raise ConfigError("reading rule: it has no search identifier", where=f"{where}: detection", mend=_MEND)
    rule = _read(document, list(selections), [_spelled_out(one, list(selections)) for one in written], where)
    joined = _Joined(list(selections.values()))
    trees = []
    for number, condition in enumerate(rule.detection.parsed_condition):
        place = f"{where}: detection.condition" + (f"[{number}]" if number else "")
        try:
            trees.append(joined.tree(condition.parsed))
        except (SigmaError, RecursionError) as exc:
            why = f"it is nested too deep ({exc})" if isinstance(exc, RecursionError) else exc
            raise ConfigError(f"reading condition: {why}", where=place, mend=_MEND) from exc
    source = rule.logsource
    idle = [name for number, name in enumerate(selections) if number not in joined.used and not name.startswith("_")]
    return ParsedSigma(
        document=document,
        log_source=LogSource(source.product or "", source.service, source.category),
        condition=trees[0] if len(trees) == 1 else ast.Or(tuple(trees)),
        warnings=(
            *(f"{_kind(error)}: {error}" for error in rule.errors),
            *(f"no condition names {name}: that part is never asked" for name in idle),
        ),
    )


def _detection_of(document: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    detection = document.get("detection")
    if not isinstance(detection, Mapping) or not all(isinstance(name, str) for name in detection):
        raise ConfigError("reading rule: it has no map `detection`", where=f"{where}: detection", mend=_MEND)
    if "timeframe" in detection:
        raise ConfigError(
            "reading rule: `timeframe` counts events, which a rule on single events can't",
            where=f"{where}: detection.timeframe",
            mend="write a correlation rule for it",
        )
    return detection


def _conditions_of(detection: Mapping[str, Any], where: str) -> list[str]:
    """The conditions as texts."""
    said = detection.get("condition")
    listed = said if isinstance(said, list) else [said]
    found = [one for one in listed if isinstance(one, str) and one.strip()]
    if not found or len(found) < len(listed):
        why = "it has no condition" if said in (None, []) else "a condition is a text"
        raise ConfigError(f"reading rule: {why}", where=f"{where}: detection.condition", mend=_MEND)
    if any(len(one) > MAX_CONDITION for one in found):
        raise ConfigError(
            f"reading condition: it is longer than {MAX_CONDITION} characters",
            where=f"{where}: detection.condition",
            mend="write `1 of name*` or `all of name*` for many search identifiers",
        )
    return found


def _spelled_out(condition: str, names: Sequence[str]) -> str:
    """`1 of a-*` with the names that it means: pySigma takes hyphens in names but not in patterns."""

    def spell(selector: re.Match[str]) -> str:
        quantifier, pattern = selector.groups()
        fits = re.compile(re.escape(pattern).replace(r"\*", ".*")).fullmatch
        meant = [name for name in names if fits(name) and (pattern.startswith("_") or not name.startswith("_"))]
        if "-" not in pattern or not meant:
            return selector[0]
        return f"({(' and ' if quantifier == 'all' else ' or ').join(meant)})"

    return _SELECTOR.sub(spell, condition)


def _read(document: Mapping[str, Any], names: Sequence[str], written: Sequence[str], where: str) -> SigmaRule:
    """The rule in pySigma's types, each search identifier replaced by its number."""
    if not isinstance(document.get("id"), str | None):
        raise ConfigError("reading rule: a text is wanted, a UUID", where=f"{where}: id", mend=_MEND)
    numbered = {name: number for number, name in enumerate(names)}
    try:
        rule = SigmaRule.from_dict(
            {**document, "detection": {**numbered, "condition": list(written)}}, collect_errors=True
        )
    except Exception as exc:
        raise ConfigError(f"reading rule: {type(exc).__name__}: {exc}", where=where, mend=_MEND) from exc
    if isinstance(rule.logsource, EmptyLogSource):
        why = next((str(error) for error in rule.errors if "log" in _kind(error)), "it has no source")
        raise ConfigError(f"reading rule: {why}", where=f"{where}: logsource", mend=_MEND)
    if not isinstance(document.get("title"), str) or not document["title"].strip():
        raise ConfigError("reading rule: it has no title", where=f"{where}: title", mend=_MEND)
    return rule


def _kind(error: SigmaError) -> str:
    return type(error).__name__.removeprefix("Sigma").removesuffix("Error").lower()


class _Joined:
    """Turns pySigma's tree over numbers into one over what the search identifiers ask for.

    Attributes:
        used: Numbers that a condition names.
    """

    def __init__(self, selections: Sequence[ast.Condition]) -> None:
        self._selections = selections
        self.used: set[int] = set()

    def tree(self, node: Any) -> ast.Condition:
        """One node and all below it.

        Raises:
            SigmaError: Of a kind that is not evaluated.
        """
        match node:
            case conditions.ConditionAND():
                return ast.And(tuple(map(self.tree, node.args)))
            case conditions.ConditionOR():
                return ast.Or(tuple(map(self.tree, node.args)))
            case conditions.ConditionNOT():
                return ast.Not(self.tree(node.args[0]))
            case conditions.ConditionValueExpression():
                number = int(node.value.to_plain())
                self.used.add(number)
                return self._selections[number]
        raise SigmaError(f"{type(node).__name__} can't be evaluated")
