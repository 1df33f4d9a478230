"""Sigma YAML to our tree. The only module that imports pySigma.

pySigma reads the rule and applies the modifiers; `_Translator` turns what comes out into `detectors/sigma/ast.py`.
Fails closed: whatever can't be evaluated refuses the rule with its place and the reason; nothing is left out silently.
What is only odd about the metadata (a status of the future, a date in another form) becomes a warning.

Specification: https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import re2  # type: ignore[import-untyped]
from sigma import conditions, types
from sigma.exceptions import SigmaError
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RE2RegexEngine, RegexPattern
from sigma.rule import SigmaDetection, SigmaRule
from sigma.rule.detection import EmptySigmaDetections
from sigma.rule.logsource import EmptyLogSource

from detectors.sigma import ast
from detectors.sigma.values import compiled
from ingest.formats.contract import LogSource
from ingest.schema.errors import ConfigError

Placeholders = Mapping[str, Sequence[str]]
"""Values of `%name%` in values with the modifier `expand`."""

MAX_EXPANSION = 1000  # texts that one value with placeholders may become

_ORDERS: dict[str, ast.Order] = {"LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_UNITS: dict[str, ast.TimeUnit] = {
    "MINUTE": "minute",
    "HOUR": "hour",
    "DAY": "day",
    "WEEK": "week",
    "MONTH": "month",
    "YEAR": "year",
}
_FLAGS = {"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}
_NOT_RULES = {
    "correlation": "a correlation rule, which is not evaluated event by event",
    "filter": "a Sigma filter, which changes other rules",
    "action": "a rule collection of the deprecated form (`action:`)",
}
_MEND = "correct the rule; docs/rules.md tells what is evaluated"


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


class _QuietRe2(RE2RegexEngine):
    """pySigma's safe engine without RE2's messages on stderr; the refusal carries them."""

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:  # noqa: ARG002 - flags are checked with the pattern later
        program: RegexPattern = compiled(pattern, "")
        return program


_POLICY = SigmaPolicy(regex_engine=_QuietRe2())


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
    rule = _read(document, where)
    warnings = tuple(f"{_kind(e)}: {e}" for e in rule.errors)
    translator = _Translator(where, placeholders)
    trees = []
    for number, condition in enumerate(rule.detection.parsed_condition):
        place = f"{where}: detection.condition" + (f"[{number}]" if number else "")
        try:
            parsed = condition.parsed
        except (SigmaError, RecursionError) as exc:
            raise ConfigError(f"reading condition: {exc}", where=place, mend=_MEND) from exc
        if parsed is None:
            raise ConfigError("reading condition: nothing is left to test", where=place, mend=_MEND)
        trees.append(translator.condition(parsed))
    source = rule.logsource
    return ParsedSigma(
        document=document,
        log_source=LogSource(source.product or "", source.service, source.category),
        condition=trees[0] if len(trees) == 1 else ast.Or(tuple(trees)),
        warnings=warnings,
    )


def _read(document: Mapping[str, Any], where: str) -> SigmaRule:
    """The rule in pySigma's types, detection and log source proven usable."""
    detection = document.get("detection")
    if not isinstance(detection, Mapping) or not all(isinstance(name, str) for name in detection):
        raise ConfigError("reading rule: it has no map `detection`", where=f"{where}: detection", mend=_MEND)
    if "timeframe" in detection:
        raise ConfigError(
            "reading rule: `timeframe` counts events, which a rule on single events can't",
            where=f"{where}: detection.timeframe",
            mend="write a correlation rule for it",
        )
    prepared = {**document, "detection": {name: _prepared(body) for name, body in detection.items()}}
    try:
        rule = SigmaRule.from_dict(prepared, collect_errors=True, policy=_POLICY)
    except Exception as exc:
        raise ConfigError(f"reading rule: {type(exc).__name__}: {exc}", where=where, mend=_MEND) from exc
    if isinstance(rule.logsource, EmptyLogSource):
        raise ConfigError(f"reading rule: {_first(rule.errors, 'no source')}", where=f"{where}: logsource", mend=_MEND)
    if isinstance(rule.detection, EmptySigmaDetections):
        name, why = _broken_part(prepared["detection"])
        raise ConfigError(f"reading rule: {why or _first(rule.errors, 'empty')}", where=f"{where}: {name}", mend=_MEND)
    if not isinstance(document.get("title"), str) or not document["title"].strip():
        raise ConfigError("reading rule: it has no title", where=f"{where}: title", mend=_MEND)
    return rule


def _kind(error: SigmaError) -> str:
    return type(error).__name__.removeprefix("Sigma").removesuffix("Error").lower()


def _first(errors: Sequence[SigmaError], fallback: str) -> str:
    return str(errors[-1]) if errors else fallback


def _prepared(body: Any) -> Any:
    """Modifiers as pySigma 2.0.1 reads them right: `cased` last (windash and others lose it), `utf16le` as wide."""
    if isinstance(body, Mapping):
        return {_modified(key): value for key, value in body.items()}
    if isinstance(body, list):
        return [_prepared(part) for part in body]
    return body


def _modified(key: Any) -> Any:
    if not isinstance(key, str) or "|" not in key:
        return key
    name, *modifiers = key.split("|")
    known = ["wide" if modifier == "utf16le" else modifier for modifier in modifiers if modifier != "cased"]
    return "|".join([name, *known, *(["cased"] if "cased" in modifiers else [])])


def _broken_part(detection: Mapping[str, Any]) -> tuple[str, str]:
    """Which selection, and which field in it, pySigma refuses, and why."""
    for name, body in detection.items():
        if name == "condition":
            continue
        for key, part in _parts(body):
            try:
                SigmaDetection.from_definition(part, policy=_POLICY)
            except Exception as exc:  # noqa: BLE001 - as above: only the reason is wanted
                return f"detection.{name}" + (f".{key}" if key else ""), str(exc) or type(exc).__name__
    return "detection", ""


def _parts(body: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(body, Mapping) and body:
        return [(str(key), {key: value}) for key, value in body.items()]
    return [("", body)]


class _Translator:
    """Turns pySigma's condition tree into ours."""

    def __init__(self, where: str, placeholders: Placeholders) -> None:
        self._where = where
        self._placeholders = placeholders

    def condition(self, node: Any) -> ast.Condition:
        """One node and all below it."""
        match node:
            case conditions.ConditionAND():
                return ast.And(tuple(map(self.condition, node.args)))
            case conditions.ConditionOR():
                return ast.Or(tuple(map(self.condition, node.args)))
            case conditions.ConditionNOT():
                return ast.Not(self.condition(node.args[0]))
            case conditions.ConditionFieldEqualsValueExpression():
                return self._match(node.field, node.value)
            case conditions.ConditionValueExpression():
                return self._match(None, node.value)
        raise self._refusal("condition", f"{type(node).__name__} can't be evaluated")

    def _match(self, name: str | None, value: Any) -> ast.Condition:
        if isinstance(value, types.SigmaExpansion):
            return _any(self._match(name, part) for part in value.values)
        tests = self._tests(name, value)
        if name is not None:
            return _any(ast.FieldMatch(name, test) for test in tests)
        for test in tests:
            if not isinstance(test, ast.Text | ast.Number | ast.Boolean | ast.Regex):
                raise self._refusal("keyword", f"{type(test).__name__.lower()} needs a field")
        return _any(ast.Keyword(test) for test in tests)  # type: ignore[arg-type]

    def _tests(self, name: str | None, value: Any) -> Sequence[ast.Test]:
        match value:
            case types.SigmaString():
                cased = isinstance(value, types.SigmaCasedString)
                return [ast.Text(parts, cased) for parts in self._filled(name, value)]
            case types.SigmaRegularExpression():
                return self._regexes(name, value)
        return [self._test(name, value)]

    def _test(self, name: str | None, value: Any) -> ast.Test:
        match value:
            case types.SigmaTimestampPart():
                return ast.TimePart(_UNITS[value.timestamp_part.name], "=", value.number)
            case types.SigmaNumber():
                return ast.Number(value.number)
            case types.SigmaBool():
                return ast.Boolean(value.boolean)
            case types.SigmaNull():
                return ast.Null()
            case types.SigmaExists():
                return ast.Exists(value.exists)
            case types.SigmaCIDRExpression():
                return ast.Cidr(str(value.network))
            case types.SigmaFieldReference():
                return ast.FieldReference(value.field, value.starts_with, value.ends_with)
            case types.SigmaCompareExpression() if value.op.name in _ORDERS:
                order, number = _ORDERS[value.op.name], value.number
                if isinstance(number, types.SigmaTimestampPart):
                    return ast.TimePart(_UNITS[number.timestamp_part.name], order, number.number)
                return ast.Compare(order, number.number)
        raise self._refusal(name, f"{type(value).__name__} can't be evaluated")

    def _regexes(self, name: str | None, value: types.SigmaRegularExpression) -> list[ast.Test]:
        flags = "".join(sorted(_FLAGS[flag.name] for flag in value.flags))
        found: list[ast.Test] = []
        for parts in self._filled(name, value.regexp, literal=True):
            pattern = "".join(part.value if isinstance(part, ast.Wild) else part for part in parts)
            try:
                compiled(pattern, flags)
            except re2.error as exc:
                raise self._refusal(name, f"regular expression {pattern!r}: {exc}") from exc
            found.append(ast.Regex(pattern, flags))
        return found

    def _filled(
        self, name: str | None, value: types.SigmaString, *, literal: bool = False
    ) -> list[tuple[str | ast.Wild, ...]]:
        """A string with its placeholders replaced by each of their values; a `literal` value has no wildcards."""
        choices: list[list[tuple[str | ast.Wild, ...]]] = []
        total = 1
        for part in value.s:
            if isinstance(part, types.Placeholder):
                given = self._placeholders.get(part.name)
                if not given:
                    raise self._refusal(name, f"the placeholder %{part.name}% has no values; give them in the settings")
                choices.append([(re2.escape(v),) if literal else _wild(types.SigmaString(v)) for v in given])
                total *= len(given)
            else:
                choices.append([_wild_part(part)])
            if total > MAX_EXPANSION:
                raise self._refusal(name, f"its placeholders make more than {MAX_EXPANSION} values")
        return [tuple(itertools.chain.from_iterable(chosen)) for chosen in itertools.product(*choices)]

    def _refusal(self, place: str | None, why: str) -> ConfigError:
        return ConfigError(f"reading detection: {why}", where=f"{self._where}: {place or 'keyword'}", mend=_MEND)


def _wild(value: types.SigmaString) -> tuple[str | ast.Wild, ...]:
    return tuple(itertools.chain.from_iterable(map(_wild_part, value.s)))


def _wild_part(part: Any) -> tuple[str | ast.Wild, ...]:
    if part is types.SpecialChars.WILDCARD_MULTI:
        return (ast.Wild.MANY,)
    if part is types.SpecialChars.WILDCARD_SINGLE:
        return (ast.Wild.ONE,)
    return (str(part),)


def _any(parts: Iterable[ast.Condition]) -> ast.Condition:
    found = tuple(parts)
    return found[0] if len(found) == 1 else ast.Or(found)
