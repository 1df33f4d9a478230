"""Correlation documents to `Draft`: everything but the rules they refer to. pySigma reads Sigma's own kinds.

Fails closed, as `detectors/sigma/parse.py` does: an unknown key, kind or condition refuses the rule with its place.

Beside Sigma's keys, `correlation` may have: `lateness` (a time span); for temporal types `carry` (fields of its matches
that correlations upon it may use, beside those it groups by); for `new_terms` `history` and `learning` (days);
for `rate` `history` and `learning` (time spans) and a condition `{factor, minimum, quantile}`.

Specification: https://sigmahq.io/sigma-specification/specification/sigma-correlation-rules-specification.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sigma.correlations import (
    SigmaCorrelationCondition,
    SigmaCorrelationRule,
    SigmaCorrelationTimespan,
)
from sigma.exceptions import SigmaError

from detectors.correlation import formula
from detectors.correlation.model import (
    DAY_MS,
    DEFAULT_LATENESS_MS,
    NUMERIC,
    TEMPORAL,
    Alternative,
    Kind,
    Order,
    Rate,
    Terms,
    Threshold,
)
from ingest.schema.errors import ConfigError

MAX_SPAN_MS = 400 * DAY_MS
MEND = "correct the correlation; docs/rules.md tells what is evaluated"

_ORDERS: Mapping[str, Order] = {"LT": "<", "LTE": "<=", "GT": ">", "GTE": ">=", "EQ": "=", "NEQ": "!="}
_KEYS = frozenset(("type", "rules", "group-by", "timespan", "condition", "aliases", "generate", "lateness"))
_OWN_KEYS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(TEMPORAL, _KEYS | {"carry"}),
    "new_terms": _KEYS - {"timespan"} | {"history", "learning"},
    "rate": _KEYS | {"history", "learning"},
}
_MISTAKES = {"timeframe": "timespan", "group_by": "group-by", "groupby": "group-by", "alias": "aliases"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A correlation as its document says; attributes as in `Correlation`."""

    document: Mapping[str, Any]
    where: str
    kind: Kind
    references: tuple[str, ...]
    group_by: tuple[str, ...]
    timespan_ms: int
    lateness_ms: int
    generate: bool
    aliases: Mapping[str, Mapping[str, str]]
    carry: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    threshold: Threshold | None = None
    percentile: int | None = None
    alternatives: tuple[Alternative, ...] = ()
    terms: Terms | None = None
    rate: Rate | None = None
    silent: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What others may refer to it by."""
        return tuple(str(self.document[key]) for key in ("name", "id") if self.document.get(key))

    @property
    def name(self) -> str:
        """What people call it, for messages."""
        return str(self.document.get("name") or self.document.get("id") or self.document.get("title") or "")


class _FieldForm(msgspec.Struct, forbid_unknown_fields=True):
    field: str | list[str]


class _RateForm(msgspec.Struct, forbid_unknown_fields=True):
    factor: float = 4.0
    minimum: int = 20
    quantile: float = 0.95


def refusal_of(draft: Draft, error: Exception) -> ConfigError:
    """The error to tell when a correlation can't be used, whatever was raised."""
    if isinstance(error, ConfigError):
        return error
    return ConfigError(f"reading correlation: {type(error).__name__}: {error}", where=draft.where, mend=MEND)


def parse_correlation(document: Mapping[str, Any], *, where: str) -> Draft:
    """Read a document with the key `correlation`.

    Raises:
        ConfigError: It can't be evaluated; names the place inside the document.
    """
    body = document.get("correlation")
    if not isinstance(body, Mapping):
        raise _refusal(where, "correlation", "a map is wanted")
    if not isinstance(document.get("title"), str) or not document["title"].strip():
        raise _refusal(where, "title", "it has no title", inside=False)
    if "detection" in document:
        raise _refusal(where, "detection", "a correlation has no detection of its own", inside=False)
    kind = body.get("type")
    known = _OWN_KEYS.get(str(kind), _KEYS)
    for key in body:
        if key not in known:
            hint = f"; do you mean `{_MISTAKES[key]}`?" if key in _MISTAKES else ""
            raise _refusal(where, str(key), f"the key is unknown for the type {kind}{hint}")
    if kind in ("new_terms", "rate"):
        return _own(document, body, where)
    return _standard(document, body, where)


def _standard(document: Mapping[str, Any], body: Mapping[str, Any], where: str) -> Draft:
    """One of Sigma's kinds."""
    names = _references(body, where)
    own = {"correlation": {k: v for k, v in body.items() if k not in ("lateness", "carry")}, "title": document["title"]}
    own["correlation"]["rules"] = names
    condition = body.get("condition")
    if isinstance(condition, str):  # read apart, since names may have hyphens; pySigma sees that there is one
        own["correlation"].pop("condition")
    first, *others = _comparisons(condition)
    if isinstance(condition, Mapping):
        own["correlation"]["condition"] = first
    try:
        rule = SigmaCorrelationRule.from_dict(own)
        further = [SigmaCorrelationCondition.from_dict(other) for other in others]
    except (SigmaError, TypeError, ValueError, AttributeError, KeyError) as exc:
        raise _refusal(where, _place_of(exc), str(exc) or type(exc).__name__) from exc
    kind: Kind = msgspec.convert(rule.type.name.lower(), Kind)
    if isinstance(condition, str) and kind not in TEMPORAL:
        raise _refusal(where, "condition", f"a condition in words needs a temporal type, not {kind}")
    timespan_ms = _bounded(rule.timespan.seconds * 1000, where, "timespan")
    draft = Draft(
        document=document,
        where=where,
        kind=kind,
        references=tuple(names),
        group_by=_texts(body.get("group-by"), where, "group-by"),
        timespan_ms=timespan_ms,
        lateness_ms=_lateness(body, where),
        generate=bool(rule.generate),
        aliases=_aliases(body, names, where),
        carry=_texts(body.get("carry"), where, "carry"),
    )
    compared = rule.condition
    assert isinstance(compared, SigmaCorrelationCondition)  # a condition in words was kept from pySigma above
    if kind in TEMPORAL:
        if further:
            raise _refusal(where, "condition", "a temporal type takes one comparison, gte or gt, or words")
        given = condition if isinstance(condition, str) else compared
        return replace(draft, alternatives=_alternatives(given, names, where))
    return _compared(draft, [compared, *further], where)


def _comparisons(condition: Any) -> list[Any]:
    """A condition as one for each operator that it has, lower bounds first: pySigma reads one at a time."""
    if not isinstance(condition, Mapping):
        return [condition]
    operators = [key for key in condition if str(key).upper() in _ORDERS and key == str(key).lower()]
    rest = {key: value for key, value in condition.items() if key not in operators}
    operators.sort(key=lambda key: key not in ("gte", "gt"))
    return [{**rest, operator: condition[operator]} for operator in operators] or [condition]


def _compared(draft: Draft, conditions: Sequence[SigmaCorrelationCondition], where: str) -> Draft:
    """The draft with its numbers and fields; conditions differ in their comparison only."""
    condition = conditions[0]
    thresholds = [Threshold(_ORDERS[each.op.name], each.count) for each in conditions]
    threshold = replace(thresholds[0], others=tuple(thresholds[1:]))
    if not all(math.isfinite(each.bound) for each in thresholds):
        raise _refusal(where, "condition", "the number must be finite")
    fields = _texts(condition.fieldref, where, "condition.field") if condition.fieldref else ()
    if draft.kind == "event_count" and fields:
        raise _refusal(where, "condition.field", "event_count counts events; value_count counts values of a field")
    if draft.kind in NUMERIC and len(fields) > 1:
        raise _refusal(where, "condition.field", f"{draft.kind} computes with one field")
    percentile = condition.percentile
    if percentile is not None and (draft.kind != "value_percentile" or not 0 <= percentile <= 100):  # noqa: PLR2004 - percent
        raise _refusal(where, "condition.percentile", "from 0 to 100, for value_percentile only")
    return replace(draft, threshold=threshold, fields=fields, percentile=percentile)


def _alternatives(
    condition: str | SigmaCorrelationCondition, names: Sequence[str], where: str
) -> tuple[Alternative, ...]:
    if len(names) > formula.MAX_RULES:
        raise _refusal(where, "rules", f"more than {formula.MAX_RULES} rules")
    try:
        if isinstance(condition, str):
            missing = [name for name in names if name not in formula.names_in(condition)]
            if missing:
                raise _refusal(where, "condition", f"{missing[0]} is in `rules`, but not in the condition")
            return formula.alternatives_of(condition, names)
        if condition.op.name not in ("GT", "GTE") or condition.fieldref is not None:
            raise _refusal(where, "condition", "a temporal type compares with gte or gt, without a field, or in words")
        return formula.at_least(int(condition.count) + (condition.op.name == "GT"), len(names))
    except (ValueError, TypeError, SigmaError) as exc:
        raise _refusal(where, "condition", str(exc)) from exc


def _own(document: Mapping[str, Any], body: Mapping[str, Any], where: str) -> Draft:
    """One of our kinds."""
    names = _references(body, where)
    draft = Draft(
        document=document,
        where=where,
        kind=body["type"],
        references=tuple(names),
        group_by=_texts(body.get("group-by"), where, "group-by"),
        timespan_ms=DAY_MS if body["type"] == "new_terms" else _span(body.get("timespan"), where, "timespan"),
        lateness_ms=_lateness(body, where),
        generate=_flag(body.get("generate", False), where),
        aliases=_aliases(body, names, where),
    )
    if draft.kind == "new_terms":
        form = _converted(body.get("condition"), _FieldForm, where)
        history = _days(body.get("history", "30d"), where, "history")
        learning = _days(body.get("learning", "7d"), where, "learning")
        fields = _texts(form.field, where, "condition.field")
        return replace(draft, fields=fields, terms=Terms(history, learning))
    form_of_rate = _converted(body.get("condition", {}), _RateForm, where)
    if form_of_rate.factor <= 0 or form_of_rate.minimum < 1 or not 0 < form_of_rate.quantile <= 1:
        raise _refusal(where, "condition", "factor and minimum must be positive, quantile from 0 to 1")
    rate = Rate(
        factor=form_of_rate.factor,
        minimum=form_of_rate.minimum,
        quantile=form_of_rate.quantile,
        history=max(1, _span(body.get("history", "7d"), where, "history") // draft.timespan_ms),
        learning=max(1, _span(body.get("learning", "1d"), where, "learning") // draft.timespan_ms),
    )
    if rate.history > 10_000:  # noqa: PLR2004 - bounds the state of a group
        raise _refusal(where, "history", "more than 10000 timespans")
    return replace(draft, rate=rate)


def _converted(given: Any, form: type[Any], where: str) -> Any:
    try:
        return msgspec.convert(given, form)
    except msgspec.ValidationError as exc:
        raise _refusal(where, "condition", str(exc)) from exc


def _references(body: Mapping[str, Any], where: str) -> list[str]:
    given = body.get("rules")
    condition = body.get("condition")
    if given is None and isinstance(condition, str):
        given = formula.names_in(condition)
    names = list(_texts(given, where, "rules"))
    if not names:
        raise _refusal(where, "rules", "it refers to no rule")
    if len(set(names)) != len(names):
        raise _refusal(where, "rules", "a rule is named twice")
    return names


def _aliases(body: Mapping[str, Any], names: Sequence[str], where: str) -> dict[str, dict[str, str]]:
    given = body.get("aliases") or {}
    if not isinstance(given, Mapping):
        raise _refusal(where, "aliases", "a map is wanted")
    found: dict[str, dict[str, str]] = {}
    for alias, fields in given.items():
        if not isinstance(fields, Mapping) or not all(isinstance(field, str) for field in fields.values()):
            raise _refusal(where, f"aliases.{alias}", "a map of rule and field is wanted")
        unknown = [rule for rule in fields if rule not in names]
        if unknown:
            raise _refusal(where, f"aliases.{alias}", f"{unknown[0]} is not in `rules`")
        found[str(alias)] = {str(rule): field for rule, field in fields.items()}
    return found


def _texts(given: Any, where: str, key: str) -> tuple[str, ...]:
    if given is None:
        return ()
    values = given if isinstance(given, list) else [given]
    if not all(isinstance(value, str) and value for value in values):
        raise _refusal(where, key, "a text or a list of texts is wanted")
    return tuple(values)


def _flag(given: Any, where: str) -> bool:
    if not isinstance(given, bool):
        raise _refusal(where, "generate", "true or false is wanted")
    return given


def _lateness(body: Mapping[str, Any], where: str) -> int:
    return _span(body["lateness"], where, "lateness") if "lateness" in body else DEFAULT_LATENESS_MS


def _span(given: Any, where: str, key: str) -> int:
    try:
        return _bounded(SigmaCorrelationTimespan(given).seconds * 1000, where, key)
    except SigmaError as exc:
        raise _refusal(where, key, f"{given!r} is no time span such as 90s, 15m, 1h, 7d") from exc


def _days(given: Any, where: str, key: str) -> int:
    span = 0 if given == "0d" else _span(given, where, key)
    if span % DAY_MS:
        raise _refusal(where, key, "whole days are wanted")
    return span // DAY_MS


def _bounded(span: int, where: str, key: str) -> int:
    if span > MAX_SPAN_MS:
        raise _refusal(where, key, f"longer than {MAX_SPAN_MS // DAY_MS} days")
    return span


def _place_of(error: Exception) -> str:
    text = str(error).lower()
    places = ("condition", "timespan", "time span", "group-by", "aliases", "generate", "type", "rule")
    found = next((place for place in places if place in text), "")
    return {"time span": "timespan", "rule": "", "condition": "condition"}.get(found, found)


def _refusal(where: str, key: str, why: str, *, inside: bool = True) -> ConfigError:
    place = f"correlation.{key}".rstrip(".") if inside and key != "correlation" else key
    return ConfigError(f"reading correlation: {why}", where=f"{where}: {place}", mend=MEND)
