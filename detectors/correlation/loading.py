"""Loads the correlations of a rule set: links, judges and tests them; a broken one is named and left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detectors.correlation.alerts import PLACES, field_places
from detectors.correlation.link import link
from detectors.correlation.model import Correlation
from detectors.correlation.parse import Draft, parse_correlation, refusal_of
from detectors.correlation.rule_tests import run_correlation_tests, tests_of
from detectors.known_fields import fills
from detectors.proving import Proves, every_file
from detectors.reason import SHORTHANDS
from detectors.rule import Rule
from detectors.rule_tests import TestResult, formats_of
from ingest.formats.contract import Format
from ingest.schema.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Loaded:
    """A correlation that could be linked, its document, and what became of its tests.

    Attributes:
        proven: What its tests expect, whether they ran or not.
    """

    correlation: Correlation
    document: Mapping[str, Any]
    results: tuple[TestResult, ...]
    oddities: tuple[str, ...]
    proven: frozenset[bool]


def is_correlation(document: Any) -> bool:
    """Whether a YAML document is a correlation."""
    return isinstance(document, Mapping) and "correlation" in document


def silent_in(documents: Iterable[Any]) -> frozenset[str]:
    """Names of the rules that only serve correlations of their own file: they raise no alert by themselves.

    A rule that a correlation of another file refers to keeps its alerts: adding a correlation mutes nothing.
    """
    quiet: set[str] = set()
    loud: set[str] = set()
    for document in documents:
        body = document.get("correlation") if is_correlation(document) else None
        if isinstance(body, Mapping):
            try:
                draft = parse_correlation(document, where="")
            except ConfigError:  # told when the document is read
                continue
            (loud if draft.generate else quiet).update(draft.references)
    return frozenset(quiet - loud)


def load_correlations(
    drafts: Sequence[Draft], rules: Sequence[Rule], formats: Mapping[str, Format], *, prove: Proves = every_file
) -> Iterator[Loaded | tuple[Draft, ConfigError]]:
    """Link drafts to the rules, each behind those it builds upon; yields what can't stand, too.

    Args:
        drafts: The correlations.
        rules: What they may refer to.
        formats: By name.
        prove: Whether the tests of those of a file run.
    """
    by_name = {name: rule for rule in rules for name in (rule.uuid, rule.id) if name}
    linked = link(drafts, by_name)
    known = {one.id: one for _, one in linked.pairs}
    plain = {rule.id: rule for rule in rules}
    for draft, one in linked.pairs:
        below = list(_below(one, known))
        bases = [plain[name] for name in dict.fromkeys(n for c in (*below, one) for n in c.rules) if name in plain]
        try:
            tests = tests_of(draft.document, draft.where)
            results = run_correlation_tests(one, tests, below, bases, formats) if prove(draft.where) else []
            oddities = tuple(_oddities(one, plain, known, formats))
        except Exception as exc:  # noqa: BLE001 - no correlation may keep the others from being loaded
            yield draft, refusal_of(draft, exc)
            continue
        proven = frozenset(test.fires for test in tests)
        yield Loaded(one, draft.document, tuple(results), oddities, proven)
    for refused in linked.refused:
        yield refused.draft, refused.error


def _below(
    one: Correlation, known: Mapping[str, Correlation], seen: dict[str, Correlation] | None = None
) -> Iterable[Correlation]:
    """The correlations that one builds upon, deepest first, each once and looked into once."""
    seen = {} if seen is None else seen
    for name in one.rules:
        if name in known and name not in seen:
            _below(known[name], known, seen)
            seen[name] = known[name]
    return seen.values()


def _oddities(
    one: Correlation, plain: Mapping[str, Rule], known: Mapping[str, Correlation], formats: Mapping[str, Format]
) -> Iterator[str]:
    """Fields that no event of a rule can have: such a match is never counted."""
    everywhere: list[Format] = []
    for name in one.rules:
        rule = plain.get(name)
        everywhere += list(formats.values()) if rule is None else formats_of(rule, formats)
        for field in (*one.group_by, *one.fields):
            wanted = one.field_for(field, name)
            if not _has(name, wanted, plain, known, formats, set()):
                what = "event of the rule" if name in plain else "match of the correlation"
                yield f"no {what} {name} has the field {wanted}: its matches are left out"
    for place in field_places(one.rule.reason):
        for field in place.split("|"):
            wanted = SHORTHANDS.get(field, field)
            if field not in PLACES and not any(fills(reader, wanted) for reader in everywhere):
                yield f"the reason reads the field {wanted}, which no event has"


def _has(
    name: str,
    field: str,
    plain: Mapping[str, Rule],
    known: Mapping[str, Correlation],
    formats: Mapping[str, Format],
    seen: set[tuple[str, str]],
) -> bool:
    """Whether an event of a rule, or of one that a correlation builds upon, can have a field; `seen` were asked."""
    if (name, field) in seen:
        return False
    seen.add((name, field))
    if name in plain:
        return any(fills(reader, field) for reader in formats_of(plain[name], formats))
    below = known[name]
    return any(_has(each, below.field_for(field, each), plain, known, formats, seen) for each in below.rules)
