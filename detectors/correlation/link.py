"""Links correlations to the rules they refer to, and to each other; refuses what can't stand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from detectors.correlation.model import NUMERIC, TEMPORAL, Correlation
from detectors.correlation.parse import MEND, Draft, refusal_of
from detectors.rule import Rule, build_rule
from detectors.sigma.ast import Or
from detectors.sigma.parse import ParsedSigma
from ingest.formats.contract import LogSource
from ingest.schema.errors import ConfigError

MAX_KEPT = 20_000  # the state of a group must fit into a Kafka message
KEPT = 500  # signals per group
KEPT_NUMBERS = 2000
MAX_CHAIN = 32  # correlations upon each other
COUNTING_EACH = NUMERIC | {"rate", "new_terms"}
"""Kinds that take each signal for a match of its own, also where several are one match with several values."""
_NEVER = Or(())


@dataclass(frozen=True, slots=True)
class Refused:
    """A correlation that can't stand."""

    draft: Draft
    error: ConfigError


@dataclass(frozen=True, slots=True)
class Linked:
    """Correlations with their drafts, each behind those it builds upon, and what was refused."""

    pairs: tuple[tuple[Draft, Correlation], ...]
    refused: tuple[Refused, ...]


def link(drafts: Iterable[Draft], rules: Mapping[str, Rule]) -> Linked:
    """Link drafts.

    Args:
        drafts: All correlations; their references may be to each other.
        rules: Every rule that correlations may refer to, by id and by UUID.
    """
    linker = _Linker(list(drafts), rules)
    for draft in linker.drafts:
        linker.link(draft, ())
    by_identity = {id(draft): draft for draft in linker.drafts}
    brought = _brought(linker.done.values())
    pairs = tuple(
        (by_identity[key], replace(one, brought=brought[one.id]) if one.id in brought else one)
        for key, one in linker.done.items()
    )
    return Linked(pairs, tuple(linker.refused.values()))


class _Linker:
    """Goes through the references from the bottom up."""

    def __init__(self, drafts: Sequence[Draft], rules: Mapping[str, Rule]) -> None:
        self.drafts = drafts
        self.rules = rules
        self.done: dict[int, Correlation] = {}
        self.refused: dict[int, Refused] = {}
        self._known: dict[str, Correlation] = {}
        self._named: dict[str, Draft] = {}
        for draft in drafts:
            for name in draft.names:
                self._named.setdefault(name, draft)

    def link(self, draft: Draft, above: tuple[Draft, ...]) -> Correlation | None:
        """The linked correlation; None when it is refused."""
        if id(draft) in self.done or id(draft) in self.refused:
            return self.done.get(id(draft))
        if any(draft is one for one in above):
            circle = [one.name for one in above[next(i for i, one in enumerate(above) if one is draft) :]]
            self._refuse(draft, "rules", f"it refers to itself: {' → '.join([*circle, draft.name])}")
            return None
        if len(above) >= MAX_CHAIN:  # those above are refused with it, and judged by nobody
            self._refuse(draft, "rules", f"a chain of more than {MAX_CHAIN} correlations leads to it")
            return None
        try:
            targets = [self._target(draft, reference, above) for reference in draft.references]
            if id(draft) not in self.refused:
                joined = self.done[id(draft)] = _joined(draft, targets, self._known)
                self._known[joined.id] = joined
        except Exception as exc:  # noqa: BLE001 - no correlation may keep the others from being loaded
            self.refused[id(draft)] = Refused(draft, refusal_of(draft, exc))
        return self.done.get(id(draft))

    def _target(self, draft: Draft, reference: str, above: tuple[Draft, ...]) -> Rule | Correlation:
        rule = self.rules.get(reference)
        if rule is not None:
            return rule
        other = self._named.get(reference)
        if other is None:
            raise _refusal(draft, "rules", f"there is no rule {reference}, or it was refused")
        linked = self.link(other, (*above, draft))
        if linked is None:
            known = self.refused.get(id(draft))
            raise known.error if known else _refusal(draft, "rules", f"the correlation {reference} was refused")
        return linked

    def _refuse(self, draft: Draft, place: str, why: str) -> None:
        self.refused[id(draft)] = Refused(draft, _refusal(draft, place, why))


def _joined(draft: Draft, targets: Sequence[Rule | Correlation], known: Mapping[str, Correlation]) -> Correlation:
    """The correlation of a draft and what it refers to; `known` are the correlations below, at any depth."""
    ids = tuple(target.id for target in targets)
    if len(set(ids)) != len(ids):
        raise _refusal(draft, "rules", "two references lead to one rule")
    by_reference = dict(zip(draft.references, ids, strict=True))
    aliases = {
        name: {by_reference[reference]: field for reference, field in fields.items()}
        for name, fields in draft.aliases.items()
    }
    below = [target for target in targets if isinstance(target, Correlation)]
    grows = draft.threshold is not None and draft.threshold.grows
    counted = draft.kind in ("event_count", "value_count", "value_sum") and grows
    sure = draft.kind in TEMPORAL and not any(one.lacks for one in draft.alternatives)
    rule = _metadata(draft, targets)
    cell_ms = max(rule.suppression.window_seconds * 1000, draft.timespan_ms)
    made = Correlation(
        rule=rule,
        kind=draft.kind,
        rules=ids,
        group_by=draft.group_by,
        timespan_ms=draft.timespan_ms,
        lateness_ms=draft.lateness_ms + max((one.delay_ms for one in below), default=0),
        cell_ms=draft.timespan_ms if draft.rate or draft.terms else cell_ms,
        at_once=counted or sure,
        generate=draft.generate,
        silent=draft.silent,
        chained=frozenset(one.id for one in below),
        aliases=aliases,
        carry=draft.carry,
        fields=draft.fields,
        threshold=draft.threshold,
        percentile=draft.percentile,
        alternatives=draft.alternatives,
        terms=draft.terms,
        rate=draft.rate,
        limit=_limit(draft),
        fold_by=_fold_by(draft),
        state_version=_state_version(draft, rule),
    )
    for one in below:
        _fits(draft, made, one, known)
    return made


def _fits(draft: Draft, made: Correlation, below: Correlation, known: Mapping[str, Correlation]) -> None:
    """Refuse fields that matches of a correlation can't have, or not one value of where one is asked for."""
    for name in made.fields:
        field = made.field_for(name, below.id)
        if not below.gives(field):
            why = f"{below.id} neither groups by {field} nor has it in `carry`: a match has no one value to compare"
            raise _refusal(draft, "condition.field", why)
    seen: set[tuple[str, str]] = set()
    for name in made.group_by:
        why = _obstacle(below, made.field_for(name, below.id), known, seen)
        if why:
            raise _refusal(draft, "group-by", why)


def _obstacle(below: Correlation, field: str, known: Mapping[str, Correlation], seen: set[tuple[str, str]]) -> str:
    """Why matches of a correlation can't bring a field; empty when each gives it, or the matches below bring it.

    Args:
        seen: What was looked into already, and had none.
    """
    if below.gives(field) or (below.id, field) in seen:
        return ""
    seen.add((below.id, field))
    for name in below.rules:
        deeper, wanted = known.get(name), below.field_for(field, name)
        if name not in below.chained or deeper is None or deeper.gives(wanted):
            continue
        if below.kind in COUNTING_EACH:
            return (
                f"{below.id} neither groups by {field} nor has it in `carry`, and can't hand it on from {name}: "
                f"a match there may bring several values of {wanted}, and {below.kind} would take each for a match"
            )
        why = _obstacle(deeper, wanted, known, seen)
        if why:
            return why
    return ""


def _brought(linked: Iterable[Correlation]) -> dict[str, tuple[str, ...]]:
    """Id → fields that the matches of a correlation have to bring for those above; given each behind those below."""
    order = list(linked)
    known = {one.id: one for one in order}
    wanted: dict[str, set[str]] = {}
    for one in reversed(order):
        for name in one.chained:
            fields = {one.field_for(each, name) for each in (*one.group_by, *wanted.get(one.id, ()))}
            foreign = {field for field in fields if not known[name].gives(field)}
            if foreign:
                wanted.setdefault(name, set()).update(foreign)
    return {name: tuple(sorted(fields)) for name, fields in wanted.items()}


def _state_version(draft: Draft, rule: Rule) -> str:
    """Changes with what the state means, not with a word of the description: what was learnt is kept."""
    meaning = msgspec.json.encode((rule.version, draft.document["correlation"]), order="sorted", enc_hook=str)
    return hashlib.sha256(meaning).hexdigest()[:16]


def _limit(draft: Draft) -> int:
    """Signals kept per group: more than any condition asks for."""
    wanted = KEPT_NUMBERS if draft.kind in NUMERIC else KEPT
    if draft.kind in ("event_count", "value_count") and draft.threshold:
        wanted = max(wanted, 2 * int(draft.threshold.largest))
    if draft.rate:
        wanted = max(200, 4 * draft.rate.minimum)
    if wanted > MAX_KEPT:
        raise _refusal(draft, "condition", f"it would have to remember more than {MAX_KEPT} matches of a group")
    return wanted


def _fold_by(draft: Draft) -> tuple[int, ...] | None:
    """The part of the group whose values make an alert: several groups may be one matter."""
    suppression = draft.document.get("suppression")
    if not isinstance(suppression, Mapping) or not isinstance(suppression.get("by"), list):
        return None
    names = suppression["by"]
    for name in names:
        if name not in draft.group_by:
            why = f"{name} is not in `group-by`: whichever match came first would decide on the alert"
            raise ConfigError(f"reading rule: {why}", where=f"{draft.where}: suppression.by", mend=MEND)
    return tuple(draft.group_by.index(name) for name in dict.fromkeys(names))


def _metadata(draft: Draft, targets: Sequence[Rule | Correlation]) -> Rule:
    """What people read; the product is that of all rules it refers to, if they have one in common."""
    sources = [target.log_source if isinstance(target, Rule) else target.rule.log_source for target in targets]
    products = {source.product for source in sources}
    document = {key: value for key, value in draft.document.items() if key != "tests"}
    product = products.pop() if len(products) == 1 else ""
    return build_rule(ParsedSigma(document, LogSource(product), _NEVER), where=draft.where)


def _refusal(draft: Draft, place: str, why: str) -> ConfigError:
    return ConfigError(f"reading correlation: {why}", where=f"{draft.where}: correlation.{place}", mend=MEND)
