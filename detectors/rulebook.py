"""Loads rules from files: reads, judges, tests. A broken rule is named and left out; the others are loaded.

Refused (`error`): what can't be read or evaluated, a second rule with a known id, a rule whose own tests fail, and one
of ours that lacks what we promise of every rule of ours. Everything else that is odd is a `warning`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from detectors.attack import read_tags
from detectors.correlation.loading import Loaded, is_correlation, load_correlations, silent_in
from detectors.correlation.model import Correlation
from detectors.correlation.parse import Draft, parse_correlation
from detectors.findings import Finding
from detectors.known_fields import fills, read_elsewhere
from detectors.proving import OWN_RULES, Proves, every_file
from detectors.reason import UNKNOWN, places_of
from detectors.rule import SEVERITIES, Rule, build_rule
from detectors.rule_files import read_rules, rule_files
from detectors.rule_tests import TestResult, formats_of, run_tests
from detectors.sigma.ast import fields_of
from detectors.sigma.filters import Filter, filtered, is_filter, parse_filter
from detectors.sigma.parse import ParsedSigma, parse
from detectors.sigma.selections import Placeholders
from detectors.sigma.yaml_source import read_documents
from ingest.formats.contract import Format
from ingest.formats.registry import all_formats
from ingest.schema.errors import ConfigError

MIN_RUNBOOK_STEPS = 2

_NONE: Placeholders = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A set of rules.

    Attributes:
        rules: Those that raise alerts event by event.
        version: First 12 hex digits of the SHA-256 over ids and contents of the rules; in every alert.
        findings: What was found while loading: rules in the order of the files, then correlations.
        bases: Rules that only serve correlations.
        correlations: Each behind those it builds upon.
        exceptions: Filters with an end; those without one are part of the rules' conditions already.
        results: What came of the tests that rules carry, of refused rules too; empty when they were not run.
        files: Path → text of every file that was read.
    """

    rules: tuple[Rule, ...]
    version: str
    findings: tuple[Finding, ...]
    bases: tuple[Rule, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    exceptions: tuple[Filter, ...] = ()
    results: tuple[TestResult, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def evaluated(self) -> tuple[Rule, ...]:
        """The rules an engine has to run, so that correlations get their signals, too."""
        return (*self.rules, *self.bases)

    @property
    def everything(self) -> tuple[Rule, ...]:
        """Every rule that may raise an alert, correlations included."""
        return (*self.rules, *(one.rule for one in self.correlations if not one.silent))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that kept a rule out."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def get(self, rule_id: str) -> Rule | None:
        """The rule of this id, be it a correlation's."""
        return next((rule for rule in self.everything if rule.id == rule_id), None)


def load(
    paths: Iterable[Path] = (OWN_RULES,),
    placeholders: Placeholders = _NONE,
    *,
    strict: bool = False,
    formats: Mapping[str, Format] | None = None,
    today: dt.date | None = None,
    prove: Proves = every_file,
) -> Rulebook:
    """Load every rule in files and directories.

    Args:
        paths: Files, or directories that are walked for `*.yml` and `*.yaml` (see `rule_files`); a file that several of
            them reach is read once.
        placeholders: Values for the modifier `expand`.
        strict: Whether a rule that must be left out is an error of the whole load.
        formats: By name; None: all there are.
        today: Day on which exceptions are judged; None: none is told to have expired.
        prove: Whether the rules of a file run their own tests, which is most of the time that loading takes.

    Raises:
        ConfigError: A path does not exist; or, when strict, a rule was refused.
    """
    known = all_formats() if formats is None else formats
    loader = _Loader(placeholders, known, today, prove)
    reached: set[str] = set()
    for path in paths:
        if not path.exists():
            raise ConfigError("loading rules: there is no such file or directory", where=str(path))
        for file in rule_files(path):
            if (real := os.path.realpath(file)) not in reached:
                reached.add(real)
                loader.read(file, named=file == path)
    book = loader.book()
    if strict and book.errors:
        more = f" (and {len(book.errors) - 1} more)" if len(book.errors) > 1 else ""
        raise ConfigError(f"loading rules: {book.errors[0]}{more}", mend="correct what `skytrail rules lint` lists")
    return book


def lint(
    paths: Iterable[Path] = (OWN_RULES,),
    placeholders: Placeholders = _NONE,
    *,
    formats: Mapping[str, Format] | None = None,
    today: dt.date | None = None,
) -> list[Finding]:
    """Everything that is wrong or odd about the rules in some paths; arguments as for `load`."""
    return list(load(paths, placeholders, formats=formats, today=today).findings)


def _version(rules: Sequence[Rule | Filter]) -> str:
    content = "\n".join(sorted(f"{rule.id} {rule.digest}" for rule in rules))
    return hashlib.sha256(content.encode()).hexdigest()[:12]


_OUR_ATTRIBUTES = ("tests", "reason", "runbook", "suppression")


class _Loader:
    """Collects rules and findings over the files."""

    def __init__(
        self, placeholders: Placeholders, formats: Mapping[str, Format], today: dt.date | None, prove: Proves
    ) -> None:
        self._placeholders = placeholders
        self._today = today
        self._prove = prove
        self._filters: list[Filter] = []
        self._formats = formats
        self._places: dict[str, str] = {}
        self._drafts: list[Draft] = []
        self._bases: list[Rule] = []
        self._correlations: list[Correlation] = []
        self.rules: list[Rule] = []
        self._results: list[TestResult] = []
        self._files: dict[str, str] = {}
        self.findings: list[Finding] = []

    def read(self, file: Path, *, named: bool) -> None:
        where = str(file)
        with self._apart(where, ""):
            text = read_rules(file, named=named)
            documents = read_documents(text, where=where)
            self._files[where] = text
            if not documents:
                self._note(where, "", "warning", "the file holds no rule")
            silent = silent_in(documents)
            for document in documents:
                with self._apart(where, _name_of(document)):
                    self._take(document, where, silent)

    @contextlib.contextmanager
    def _apart(self, where: str, name: str) -> Iterator[None]:
        """Whatever is raised keeps only what is read here from being loaded; it is told with its place."""
        try:
            yield
        except ConfigError as exc:
            self._refuse(where, name, exc)
        except (OSError, UnicodeDecodeError) as exc:
            self._note(where, name, "error", f"reading file: {exc}")
        except Exception as exc:  # noqa: BLE001 - no file may keep the other rules from being loaded
            self._note(where, name, "error", f"reading rule: {type(exc).__name__}: {exc}")

    def _take(self, document: Any, where: str, silent: frozenset[str]) -> None:
        """Keep what one document holds.

        Raises:
            ConfigError: Nothing that can be evaluated.
        """
        if is_correlation(document):
            draft = parse_correlation(document, where=where)
            self._drafts.append(replace(draft, silent=bool(silent & set(draft.names))))
        elif is_filter(document):
            self._filters.append(parse_filter(document, where=where, placeholders=self._placeholders))
        else:
            parsed = parse(document, where=where, placeholders=self._placeholders)
            rule = build_rule(parsed, where=where)
            self._judge(rule, parsed, base=bool(silent & {rule.id, rule.uuid}))

    def book(self) -> Rulebook:
        """The set, once every file is read."""
        refused: set[str] = set()
        for found in load_correlations(self._drafts, (*self.rules, *self._bases), self._formats, prove=self._prove):
            if not isinstance(found, Loaded):
                self._refuse(found[0].where, found[0].name, found[1])
                refused.update(found[0].names)
                continue
            sound = False
            with self._apart(found.correlation.rule.source, found.correlation.id):
                sound = self._judge_correlation(found, refused)
            if not sound:
                refused.add(found.correlation.id)
        used = {name for one in self._correlations for name in one.rules}
        bases = [rule for rule in self._bases if rule.id in used]
        for one in self._filters:
            self._judge_filter(one, (*self.rules, *bases))
        rules, bases = self._filtered(self.rules), self._filtered(bases)
        exceptions = tuple(one for one in self._filters if one.expires is not None)
        everything: list[Rule | Filter] = [*rules, *bases, *(one.rule for one in self._correlations), *exceptions]
        return Rulebook(
            tuple(rules),
            _version(everything),
            tuple(self.findings),
            tuple(bases),
            tuple(self._correlations),
            exceptions,
            tuple(self._results),
            self._files,
        )

    def _filtered(self, rules: Iterable[Rule]) -> list[Rule]:
        """The rules with the filters that cover them; exceptions stay apart."""
        found = []
        for rule in rules:
            for one in self._filters:
                if one.expires is None and one.covers(rule):
                    rule = filtered(rule, one)  # noqa: PLW2901 - one filter after the other
            found.append(rule)
        return found

    def _judge_filter(self, one: Filter, rules: Sequence[Rule]) -> None:
        kind = "filter" if one.expires is None else "exception"
        first = next(other for other in self._filters if other.id == one.id)
        if first is not one:
            self._note(one.source, one.id, "warning", f"the name is that of the {kind} in {first.source}, too")
        if not any(one.covers(rule) for rule in rules):
            self._note(one.source, one.id, "warning", f"the {kind} is about no rule that is loaded with it")
        known = {identity for rule in rules for identity in (rule.id, rule.uuid)}
        for name in sorted((one.rules or frozenset()) - known):
            self._note(
                one.source, one.id, "warning", f"the {kind} names {name}, which is no rule on single events here"
            )
        if self._today is not None and not one.in_force(self._today):
            self._note(one.source, one.id, "warning", f"the exception expired on {one.expires} and counts no more")

    def _judge_correlation(self, found: Loaded, refused: set[str]) -> bool:
        """Keep a correlation that is sound; whether it was."""
        one, rule = found.correlation, found.correlation.rule
        self._results += found.results
        errors = [*self._doubles(rule), *_failures(found.results)]
        errors += [f"it builds upon {name}, which was refused" for name in sorted(one.chained & refused)]
        warnings = [*_given_up(found.document), *found.oddities, *_gaps(found.results)]
        if not one.silent:
            promises = _broken_promises(rule, found.document, found.proven)
            (errors if rule.own else warnings).extend(promises)
        if self._noted(rule, errors, warnings):
            self._correlations.append(one)
        return not errors

    def _refuse(self, where: str, name: str, error: ConfigError) -> None:
        inside = error.where.removeprefix(where).lstrip(": ")
        self._note(where, name, "error", f"{error.what}" + (f" at {inside}" if inside else ""))

    def _judge(self, rule: Rule, parsed: ParsedSigma, *, base: bool) -> None:
        results = run_tests(rule, self._formats) if self._prove(rule.source) else []
        self._results += results
        errors = [*self._doubles(rule), *_failures(results)]
        warnings = [
            *_given_up(parsed.document),
            *parsed.warnings,
            *_oddities(rule, formats_of(rule, self._formats)),
            *_gaps(results),
        ]
        if not base:  # what raises no alert needs nothing that an alert shows; its correlation is tested
            promises = _broken_promises(rule, parsed.document, {test.fires for test in rule.tests})
            (errors if rule.own else warnings).extend(promises if _is_for_us(rule, parsed.document) else ())
        if self._noted(rule, errors, warnings):
            (self._bases if base else self.rules).append(rule)

    def _noted(self, rule: Rule, errors: Iterable[str], warnings: Iterable[str]) -> bool:
        """Note what was found about a rule; whether it is kept."""
        sound = True
        for message in errors:
            self._note(rule.source, rule.id, "error", message)
            sound = False
        for message in warnings:
            self._note(rule.source, rule.id, "warning", message)
        if sound:
            for identity in filter(None, (rule.id, rule.uuid)):
                self._places[identity] = rule.source
        return sound

    def _doubles(self, rule: Rule) -> Iterator[str]:
        for identity in dict.fromkeys(filter(None, (rule.id, rule.uuid))):
            if identity in self._places:
                yield f"the id {identity} is taken by {self._places[identity]}; give this rule its own"

    def _note(self, file: str, rule: str, severity: str, message: str) -> None:
        self.findings.append(Finding(file, rule, "error" if severity == "error" else "warning", message))


def _name_of(document: Any) -> str:
    return str(document.get("name") or document.get("id") or "") if isinstance(document, Mapping) else ""


def _failures(results: Sequence[TestResult]) -> Iterator[str]:
    problems = {result.problem for result in results}
    if len(results) > 1 and len(problems) == 1 and "" not in problems:
        yield f"its tests can't run: {results[0].problem}"
        return
    for result in results:
        if result.problem:
            yield f"test {result.name!r}: {result.problem}"
        elif not result.ok:
            yield f"test {result.name!r}: the rule {'fired' if result.fired else 'did not fire'}"


def _is_for_us(rule: Rule, document: Mapping[str, Any]) -> bool:
    """Whether it was written for Skytrail; a rule of a public collection has none of our attributes, and needs none."""
    return rule.own or any(name in document for name in _OUR_ATTRIBUTES)


def _given_up(document: Mapping[str, Any]) -> Iterator[str]:
    status = str(document.get("status")).lower()
    if status in ("deprecated", "unsupported"):
        yield f"its status is {status}, and it is in force all the same: take its file away if it should not be"


def _gaps(results: Iterable[TestResult]) -> Iterator[str]:
    for result in results:
        if UNKNOWN in result.reason:
            yield f"test {result.name!r}: the reason has a gap: {result.reason}"


def _oddities(rule: Rule, formats: Sequence[Format]) -> Iterator[str]:
    """What makes a rule useless or hard to read without making it wrong."""
    if not formats:
        source = rule.log_source
        named = "/".join(part for part in (source.product, source.category, source.service) if part)
        products = {one.log_source.product for one in all_formats().values()}
        why = (
            "" if rule.log_source.product in products else f"no format carries product {rule.log_source.product}, and "
        )
        yield f"{why}no format has the log source {named}: the rule can never match"
        return
    other = {read_elsewhere(one, rule.condition) for one in formats}
    if len(other) == 1 and other != {""}:
        yield f"events of this kind are read by {other.pop()}, under its own names: the rule can never match"
    for name in sorted(fields_of(rule.condition)):
        if not any(fills(one, name) for one in formats):
            yield f"no event of {', '.join(one.name for one in formats)} has the field {name}: that part never matches"
    for name in (*places_of(rule.reason), *rule.suppression.by):
        if not any(fills(one, name) for one in formats):
            yield f"the reason or suppression reads the field {name}, which no event has"


def _broken_promises(rule: Rule, document: Mapping[str, Any], proven: set[bool] | frozenset[bool]) -> Iterator[str]:
    """What we promise of every rule of ours and advise for all others."""
    if proven != {True, False}:
        yield "it needs a test that fires and one that does not"
    if str(document.get("level")).lower() not in SEVERITIES:
        yield "it needs a level"
    _, _, unknown = read_tags(rule.tags)
    if not rule.techniques or not rule.tactics:
        yield "it needs tags with an ATT&CK tactic and technique"
    if unknown and rule.own:
        yield f"unknown ATT&CK tags: {', '.join(unknown)}"
    for missing in (
        name
        for name, value in (
            ("description", rule.description),
            ("falsepositives", rule.false_positives),
            ("reason", rule.reason),
            ("id", rule.uuid),
        )
        if not value
    ):
        yield f"it needs {missing}"
    if len(rule.runbook) < MIN_RUNBOOK_STEPS:
        yield f"it needs a runbook of at least {MIN_RUNBOOK_STEPS} steps"
