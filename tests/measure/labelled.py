"""Measures the shipped rules on labelled public cases: what fires, what should, and what is a false alarm.

    uv run python -m tests.measure.labelled ../shared/data            the table of docs/rules.md
    uv run python -m tests.measure.labelled ../shared/data --misses   each miss and false alarm as well

Each case takes the real road: bytes, format, document, compiled engine. How the labels are read:

* A case that must fire is found when a rule of ours raises an alert on its event. A rule that only serves correlations
  raises none.
* A label speaks of one foreign rule. Ours are its equals where they fire on a case that it must fire on; a false alarm
  is an equal that also fires on a case that it must not fire on. What other rules of ours say of that event is noise,
  counted apart: the event can well be worth another alert.
* Cases that ask an outside service (`needs_mocks`) are counted apart. So are those that a format refuses.
* A technique of an attack run is detected when an alert of its events, of a rule or of a correlation, has the tactic
  under which the run is listed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectors.rulebook import OWN_RULES, Rulebook, load
from ingest.formats.contract import Format
from ingest.formats.registry import all_formats
from ingest.schema.errors import RejectedRecord
from skytrail.scan.evaluate import Evaluator, Task
from tests.measure.runs import correlated

SOURCES = (
    "aws.cloudtrail",
    "azure.activitylogs",
    "azure.signinlogs",
    "azure.auditlogs",
    "azure.platformlogs",
    "gcp.audit",
    "kubernetes.audit",
)


@dataclass(slots=True)
class Tally:
    """What became of the cases of one source."""

    cases: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    mocks: int = 0
    should: int = 0
    found: int = 0
    quiet: int = 0
    false: int = 0
    noise: int = 0
    misses: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a gzip of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


class Measure:
    """The shipped rules, asked about one record after the other."""

    def __init__(self, book: Rulebook) -> None:
        self.book = book
        self._evaluator = Evaluator(Task(rules=book.rules))
        self._formats = all_formats()

    def format_of(self, source: str, record: bytes) -> Format:
        """The format that carries a source's records; AKS audit events come as platform logs."""
        known = self._formats[source]
        if not known.recognise(record):
            for other in self._formats.values():
                if other.recognise(record):
                    return other
        return known

    def fired(self, source: str, event: Any) -> set[str]:
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
        return {self.book.rules[match.rule].id for match in matches}


def measure_cases(measure: Measure, cases: Sequence[dict[str, Any]]) -> dict[str, Tally]:
    """The tally of each source."""
    tallies = {source: Tally() for source in SOURCES}
    judged: list[tuple[dict[str, Any], set[str]]] = []
    for case in cases:
        tally = tallies.get(case["source"])
        if tally is None:
            continue
        tally.cases += 1
        if case["needs_mocks"]:
            tally.mocks += 1
            continue
        try:
            judged.append((case, measure.fired(case["source"], case["event"])))
        except RejectedRecord as exc:
            tally.refused[exc.what] += 1
    equals: dict[tuple[str, str], set[str]] = defaultdict(set)
    for case, fired in judged:
        if case["expected"]:
            equals[case["source"], case["rule"]] |= fired
    for case, fired in judged:
        _judge(tallies[case["source"]], case, fired, equals[case["source"], case["rule"]])
    return tallies


def _judge(tally: Tally, case: dict[str, Any], fired: set[str], equals: set[str]) -> None:
    if case["expected"]:
        tally.should += 1
        tally.found += bool(fired)
        if not fired:
            tally.misses.append(f"{case['rule']}: {case['test']} [{case['id']}]")
        return
    tally.quiet += 1
    if wrong := fired & equals:
        tally.false += 1
        tally.alarms.append(f"{case['rule']}: {case['test']} [{case['id']}]: {', '.join(sorted(wrong))}")
    tally.noise += bool(fired - equals)


def measure_runs(measure: Measure, directory: Path) -> dict[str, tuple[set[str], set[str]]]:
    """Technique of an attack run → ids of the rules and correlations that told of it, fitting ones and others."""
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case in read(directory / "cases.jsonl.gz"):
        runs[case["technique"]].append(case["event"])
    tactics = {rule.id: {t.name.lower().replace(" ", "-") for t in rule.tactics} for rule in measure.book.everything}
    found = {}
    for technique, events in sorted(runs.items()):
        records = [json.dumps(event).encode() for event in events]
        told = set().union(*(measure.fired("aws.cloudtrail", event) for event in events))
        told |= correlated(measure.book, all_formats()["aws.cloudtrail"], records)
        fitting = {rule for rule in told if technique.split(".")[1] in tactics[rule]}
        found[technique] = fitting, told - fitting
    return found


def measure_traces(measure: Measure, path: Path) -> Tally:
    """The Kubernetes traces: a test must fire, or must stay quiet, as a whole."""
    tally = Tally()
    judged = []
    for case in read(path):
        tally.cases += 1
        fired: set[str] = set()
        for event in case["events"]:
            try:
                fired |= measure.fired("kubernetes.audit", event)
            except RejectedRecord as exc:
                tally.refused[exc.what] += 1
        judged.append((case, fired))
    equals = defaultdict(set)
    for case, fired in judged:
        if case["expected"]:
            equals[case["subject"]] |= fired
    for case, fired in judged:
        named = {"rule": ",".join(case["rule"] or ["-"]), "test": case["id"], **case}
        _judge(tally, named | {"rule": named["rule"] or "-"}, fired, equals[case["subject"]])
    return tally


def rows(tallies: dict[str, Tally]) -> Iterator[str]:
    """The table in Markdown."""
    yield (
        "| source | cases | refused | need mocks | fired / should fire | false alarms / must not fire "
        "| other rules on those |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for source, tally in tallies.items():
        yield (
            f"| {source} | {tally.cases} | {tally.refused.total()} | {tally.mocks} | {tally.found} / {tally.should} | "
            f"{tally.false} / {tally.quiet} | {tally.noise} |"
        )


def main(arguments: Iterable[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Measure the shipped rules on labelled cases.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--misses", action="store_true", help="name each miss, false alarm and refusal")
    options = parser.parse_args(arguments and list(arguments))
    measure = Measure(load([OWN_RULES], {}))
    tallies = measure_cases(measure, list(read(options.data / "panther" / "cases.jsonl.gz")))
    tallies["kubernetes.audit, traces"] = measure_traces(measure, options.data / "falco" / "cases.jsonl.gz")
    runs = measure_runs(measure, options.data / "stratus")
    detected = sum(bool(fitting) for fitting, _ in runs.values())
    lines = [*rows(tallies), "", f"Attack runs on AWS: {detected} of {len(runs)} techniques detected"]
    if options.misses:
        lines += details(tallies, runs)
    sys.stdout.write("\n".join(lines) + "\n")


def details(tallies: dict[str, Tally], runs: dict[str, tuple[set[str], set[str]]]) -> Iterator[str]:
    """Every miss, false alarm and refusal, and what told of each run."""
    for source, tally in tallies.items():
        yield from (f"MISS    {source}  {line}" for line in tally.misses)
        yield from (f"FALSE   {source}  {line}" for line in tally.alarms)
        yield from (f"REFUSED {source}  {number} x {line}" for line, number in tally.refused.items())
    for technique, (fitting, others) in runs.items():
        shown = ", ".join(sorted(fitting)) or f"not detected (others: {', '.join(sorted(others)) or 'none'})"
        yield f"RUN     {technique}: {shown}"


if __name__ == "__main__":
    main()
