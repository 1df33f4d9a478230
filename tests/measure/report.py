"""The measured figures as Markdown tables, as JSON, and case by case."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.measure.labelled import Run, Tally
    from tests.measure.techniques import Technique


def sources(tallies: Mapping[str, Tally]) -> Iterator[str]:
    """A line for each source."""
    heads = (
        "source",
        "cases",
        "refused",
        "ask others",
        "fired / should",
        "as signal",
        "false / must not",
        "other rules",
    )
    yield f"| {' | '.join(heads)} |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for source, tally in tallies.items():
        cells = (
            source,
            tally.cases,
            tally.refused.total(),
            tally.mocks,
            f"{tally.found} / {tally.should}",
            tally.signals,
            f"{tally.false} / {tally.quiet}",
            tally.other,
        )
        yield f"| {' | '.join(map(str, cells))} |"


def techniques(runs: Mapping[str, Run]) -> Iterator[str]:
    """A line for each technique of an attack run."""
    yield "| technique | detected by |"
    yield "| --- | --- |"
    for technique, run in runs.items():
        yield f"| {technique} | {', '.join(sorted(run.fitting)) or '**not detected**'} |"
    detected = sum(bool(run.fitting) for run in runs.values())
    yield ""
    yield f"{detected} of {len(runs)} techniques detected."


def looked_for(table: Sequence[Technique]) -> Iterator[str]:
    """A line for each technique of which nobody published a log."""
    yield "| technique without a published log | rules that look for it, or why none does |"
    yield "| --- | --- |"
    yield from (f"| {one.name} | {', '.join(sorted(one.rules)) or one.why} |" for one in table)
    yield ""
    yield f"{sum(bool(one.rules) for one in table)} of {len(table)} of these have a rule that looks for them."


def details(tallies: Mapping[str, Tally], runs: Mapping[str, Run]) -> Iterator[str]:
    """Every miss, false alarm and refusal, and what else told of each run."""
    for source, tally in tallies.items():
        yield from (f"MISS    {source}  {line}" for line in tally.misses)
        yield from (f"FALSE   {source}  {line}" for line in tally.alarms)
        yield from (f"REFUSED {source}  {number} x {why}" for why, number in tally.refused.items())
    for technique, run in runs.items():
        yield f"RUN     {technique}: {', '.join(sorted(run.others)) or 'no other alert'}"


def as_json(tallies: Mapping[str, Tally], runs: Mapping[str, Run]) -> str:
    """Everything, for programs."""
    shown = {
        "sources": {source: asdict(tally) for source, tally in tallies.items()},
        "techniques": {
            name: {"fitting": sorted(run.fitting), "others": sorted(run.others)} for name, run in runs.items()
        },
    }
    return json.dumps(shown, indent=2) + "\n"
