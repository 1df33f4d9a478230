"""Measures the shipped rules on labelled public cases: what fires, what should, and what is a false alarm.

    uv run python -m tests.measure.labelled ../shared/data             the tables of docs/rules.md
    uv run python -m tests.measure.labelled ../shared/data -o json     the same as JSON
    uv run python -m tests.measure.labelled ../shared/data --misses    each miss and false alarm as well

Each case takes the real road: bytes, format, document, compiled engine. How the labels are read:

* A label speaks of one foreign rule. `equals.toml` says which rules of ours look for the same; only they count as
  found.
* A case that must fire is found when one of them raises an alert on its event. Many foreign rules count: their case is
  one event of many. There our equal is a correlation, and its base rule must match; these are shown apart.
* A false alarm is an equal that fires on a case which must not fire. What other rules of ours say of that event is
  counted apart: it can well be worth another alert.
* Cases that ask an outside service (`needs_mocks`) or a list of the site are counted apart. So are those that a format
  refuses.
* A technique of an attack run is detected when an alert of its events is of a rule or correlation that `equals.toml`
  names for it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectors.proving import OWN_RULES, no_file
from detectors.rulebook import Rulebook, load
from ingest.formats.contract import Format
from ingest.formats.registry import all_formats
from ingest.schema.errors import RejectedRecord
from skytrail.scan.evaluate import Evaluator, Task
from tests.measure import report
from tests.measure.runs import correlated
from tests.measure.techniques import techniques

EQUALS = Path(__file__).parent / "equals.toml"
SOURCES = (
    "aws.cloudtrail",
    "azure.activitylogs",
    "azure.signinlogs",
    "azure.auditlogs",
    "azure.platformlogs",
    "gcp.audit",
    "kubernetes.audit",
)


_SAME_RULES = "engine_v4_"  # an older copy of the foreign rules; not a list of a site


@dataclass(slots=True)
class Tally:
    """What became of the cases of one source.

    Attributes:
        refused: Why a format refused cases → how many.
        mocks: Cases that ask an outside service or a list of the site; in no other count.
        should: Cases that must fire.
        found: Those of them on which an equal of ours raised an alert.
        signals: Those on which the base rule of a correlation matched, and nothing more.
        quiet: Cases that must not fire.
        false: Those of them on which an equal fired all the same.
        other: Those of them on which only other rules of ours fired.
    """

    cases: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    mocks: int = 0
    should: int = 0
    found: int = 0
    signals: int = 0
    quiet: int = 0
    false: int = 0
    other: int = 0
    misses: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Run:
    """What told of an attack run: ids of rules and correlations that were named for its technique, and of others."""

    fitting: frozenset[str]
    others: frozenset[str]


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a gzip of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def equals_of(part: str) -> dict[str, frozenset[str]]:
    """Foreign label → ids of our rules, of one part of `equals.toml`."""
    rows: dict[str, list[str]] = tomllib.loads(EQUALS.read_text())[part]
    return {label: frozenset(ids) for label, ids in rows.items()}


class Measure:
    """The shipped rules, asked about one record after the other."""

    def __init__(self, book: Rulebook) -> None:
        """Build the engine of every rule, those that only serve correlations included."""
        self.book = book
        self.signals = frozenset(rule.id for rule in book.bases)
        self._rules = book.evaluated
        self._evaluator = Evaluator(Task(rules=self._rules))
        self._formats = all_formats()

    def format_of(self, source: str, record: bytes) -> Format:
        """The format that carries a source's records; AKS audit events come as platform logs."""
        known = self._formats[source]
        if not known.recognise(record):
            for other in self._formats.values():
                if other.recognise(record):
                    return other
        return known

    def fired(self, source: str, event: Any) -> frozenset[str]:
        """Ids of the rules that fire on an event.

        Raises:
            RejectedRecord: The format refuses it.
        """
        record = json.dumps(event).encode()
        format_ = self.format_of(source, record)
        self._evaluator.begin()
        matches = list(self._evaluator.matches(format_, [record]))
        if self._evaluator.counts.refused:
            raise RejectedRecord(self._evaluator.named[0].why)
        return frozenset(self._rules[match.rule].id for match in matches)


def measure_cases(measure: Measure, cases: Iterable[dict[str, Any]]) -> dict[str, Tally]:
    """The tally of each source."""
    tallies = {source: Tally() for source in SOURCES}
    equals = equals_of("rules")
    for case in cases:
        tally = tallies.get(case["source"])
        if tally is None:
            continue
        tally.cases += 1
        if case["needs_mocks"]:
            tally.mocks += 1
            continue
        try:
            fired = measure.fired(case["source"], case["event"])
        except RejectedRecord as exc:
            tally.refused[exc.what] += 1
            continue
        _judge(tally, case, fired, equals[case["rule"]], measure.signals)
    return tallies


def _judge(
    tally: Tally, case: dict[str, Any], fired: frozenset[str], equals: frozenset[str], signals: frozenset[str]
) -> None:
    right, other = fired & equals, fired - equals - signals
    if case["expected"]:
        tally.should += 1
        tally.found += bool(right - signals)
        tally.signals += bool(right) and not right - signals
        if not right:
            tally.misses.append(f"{case['rule']}: {case['test']} [{case['id']}]: {_listed(other)}")
        return
    tally.quiet += 1
    wrong = right - signals
    if wrong:
        tally.false += 1
        tally.alarms.append(f"{case['rule']}: {case['test']} [{case['id']}]: {_listed(wrong)}")
    tally.other += bool(other) and not wrong


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids)) or "nothing fired"


def measure_runs(measure: Measure, directory: Path) -> dict[str, Run]:
    """What told of each technique's run."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for case in read(directory / "cases.jsonl.gz"):
        runs.setdefault(case["technique"], []).append(case["event"])
    equals = equals_of("runs")
    found = {}
    for technique, events in sorted(runs.items()):
        told = _told(measure, events)
        fitting = told & equals.get(technique, frozenset())
        found[technique] = Run(fitting, told - fitting)
    return found


def _told(measure: Measure, events: Sequence[dict[str, Any]]) -> frozenset[str]:
    records = [json.dumps(event).encode() for event in events]
    alone = frozenset[str]().union(*(measure.fired("aws.cloudtrail", event) for event in events)) - measure.signals
    return alone | correlated(measure.book, all_formats()["aws.cloudtrail"], records)


def measure_traces(measure: Measure, path: Path) -> Tally:
    """The Kubernetes traces: a test must fire, or must stay quiet, as a whole."""
    tally = Tally()
    equals = equals_of("traces")
    for case in read(path):
        tally.cases += 1
        if any(not file.startswith(_SAME_RULES) for file in case["extra_rules"]):
            tally.mocks += 1  # a list of the site: images or users that it trusts or allows
            continue
        fired: set[str] = set()
        for event in case["events"]:
            try:
                fired |= measure.fired("kubernetes.audit", event)
            except RejectedRecord as exc:
                tally.refused[exc.what] += 1
        named = {**case, "rule": ", ".join(case["rule"] or ["no alert"]), "test": case["subject"]}
        # Without a rule named, no alert of any rule is allowed.
        right = frozenset[str]().union(*(equals[rule] for rule in case["rule"])) if case["rule"] else frozenset(fired)
        _judge(tally, named, frozenset(fired), right, measure.signals)
    return tally


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Measure the shipped rules on labelled cases.")
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", choices=("markdown", "json"), default="markdown")
    parser.add_argument("--misses", action="store_true", help="name each miss, false alarm and refusal")
    options = parser.parse_args(arguments)
    measure = Measure(load([OWN_RULES], {}, prove=no_file))
    tallies = measure_cases(measure, read(options.data / "panther" / "cases.jsonl.gz"))
    tallies["kubernetes.audit, traces"] = measure_traces(measure, options.data / "falco" / "cases.jsonl.gz")
    runs = measure_runs(measure, options.data / "stratus")
    if options.output == "json":
        sys.stdout.write(report.as_json(tallies, runs))
        return
    lines = [*report.sources(tallies), "", *report.techniques(runs), "", *report.looked_for(techniques())]
    if options.misses:
        lines += ["", *report.details(tallies, runs)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
