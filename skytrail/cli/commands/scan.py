"""`skytrail scan`: hunts over files with the rules; needs no service."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from detectors.rule import SEVERITIES
from detectors.rulebook import Rulebook
from ingest.formats.registry import format_named
from ingest.schema.errors import ConfigError
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.levels import Level
from skytrail.cli.output import chosen, quiet_stdout, say
from skytrail.cli.rule_choice import load_rules, usable
from skytrail.cli.scan_output import ScanOutput, emit_hits
from skytrail.cli.scan_progress import Display, summary_line
from skytrail.cli.times import stretch
from skytrail.data_keys import data_keys
from skytrail.scan.correlating import from_level
from skytrail.scan.evaluate import Task
from skytrail.scan.pieces import Piece, pieces
from skytrail.scan.run import Scan, Tally, summary
from skytrail.scan.sources import find

AUTO = "auto"

InputArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH…",
        help="Files (also gzip, zstd), directories, patterns, s3://bucket/prefix, archives of ours, - for stdin.",
    ),
]
FormatOption = Annotated[
    str, typer.Option("--format", help="Format of the input, e.g. aws.cloudtrail; auto recognises each file.")
]
RulesOption = Annotated[
    list[Path] | None,
    typer.Option("--rules", metavar="DIR", help="Rule file or directory instead of the rules in force; repeatable."),
]
SinceOption = Annotated[str | None, typer.Option("--from", help="Earliest event time: ISO 8601 or an age such as 24h.")]
UntilOption = Annotated[str | None, typer.Option("--to", help="Event time before which to end.")]
SummaryOption = Annotated[Path | None, typer.Option(help="Write the summary as JSON to this file.")]
JobsOption = Annotated[int, typer.Option(min=0, help="Processes to use; 0: one per processor.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(scan)


def scan(
    context: typer.Context,
    paths: InputArgument,
    format_name: FormatOption = AUTO,
    rules: RulesOption = None,
    start: SinceOption = None,
    end: UntilOption = None,
    min_level: Annotated[Level | None, typer.Option(help="Evaluate only rules of this level and above.")] = None,
    fail_on: Annotated[Level | None, typer.Option(help="Exit 1 when a rule of this level or above matched.")] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Also run the rules' own tests; exit 2, before reading, when a rule is refused."),
    ] = False,
    jobs: JobsOption = 0,
    summary_file: SummaryOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary on stderr.")] = False,
    output: Annotated[
        ScanOutput | None,
        typer.Option(
            "--output", "-o", help="table, jsonl, json, csv or timesketch. Default: table on a terminal, else jsonl."
        ),
    ] = None,
) -> None:
    """Evaluate rules on files without any service, on all cores; memory does not grow with the input.

    A match is told per record and rule, in the order of files and records; then the alerts of correlations, each once,
    with the record that completed it. Records without a readable time are evaluated, and match whatever the time range;
    no correlation sees them. What can't be read is named and counted. Ends with 1 when --fail-on found something,
    whatever else happened; else with 2 when there was input and nothing of it could be read, or no rule is left; else
    with 5 when something was not read, or not evaluated, when a rule was refused, or when correlations gave up matches
    that an alert may need. Input without records is read. A path that is not there is an error of usage, 3.

    Examples:  skytrail scan ./logs   |   skytrail scan 'AWSLogs/**/*.json.gz' --min-level high -o csv
               skytrail scan s3://my-trail/AWSLogs/123456789012/CloudTrail/eu-central-1/2026/11/   |
               zcat audit.log.gz | skytrail scan - --format kubernetes.audit --rules ./my-rules --fail-on high
    """
    if format_name != AUTO:
        format_named(format_name)
    now = dt.datetime.now(dt.UTC)
    since, until = stretch(start, end, now)
    sources = find(paths)
    wanted = output or ScanOutput(chosen(None).value)
    book = usable(load_rules(context, rules, prove=strict), strict=strict)
    task = _task(book, min_level, since, until, timeline=wanted is ScanOutput.TIMESKETCH)
    wanted_format = None if format_name == AUTO else format_name
    work = pieces(sources, wanted_format, since=since, keys=lambda: data_keys(context_of(context).settings))
    with Display(sum(source.size for source in sources), quiet=quiet) as display:
        run = Scan(task, jobs=jobs or cores(), on_trouble=display.trouble, on_progress=lambda: display.show(run.tally))
        began = time.monotonic()
        _write(run, work, wanted)
    seconds = time.monotonic() - began
    display.finish(run.tally, seconds)
    if summary_file:
        write_summary(summary_file, summary(run.tally, seconds, rules_refused=len(book.errors)))
    if code := verdict(run.tally, fail_on, all_rules=not book.errors):
        raise typer.Exit(code)


def _task(
    book: Rulebook, level: Level | None, since: dt.datetime | None, until: dt.datetime | None, *, timeline: bool
) -> Task:
    """What is looked for."""
    floor = level.severity if level else 0
    correlations = from_level(book.correlations, floor)
    rules = tuple(rule for rule in book.rules if rule.severity >= floor)
    bases = book.bases if correlations else ()
    return Task(rules, since, until, entries=timeline, bases=bases, correlations=correlations)


def _write(run: Scan, work: Iterable[Piece], output: ScanOutput) -> None:
    """Write every hit, until the input ends or nobody wants more.

    Raises:
        typer.Exit: Whoever reads has seen enough (`| head`).
    """
    began = time.monotonic()
    with contextlib.closing(run.hits(work)) as hits:
        try:
            emit_hits(hits, output)
        except BrokenPipeError:
            quiet_stdout()
            raise typer.Exit(Exit.OK) from None
        except KeyboardInterrupt:
            say(f"interrupted; until then {summary_line(run.tally, time.monotonic() - began)}")
            raise


def write_summary(file: Path, told: Mapping[str, object]) -> None:
    """Write what a scan came to.

    Raises:
        ConfigError: The file can't be written.
    """
    try:
        file.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    except OSError as exc:
        raise ConfigError(f"writing the summary: {exc.strerror}", where=str(file), mend="name another file") from exc


def verdict(tally: Tally, fail_on: Level | None, *, all_rules: bool) -> Exit:
    """How a scan ends: findings before anything that was not checked, be it records or rules that were refused."""
    if fail_on and any(SEVERITIES[level] >= fail_on.severity for level in tally.matches):
        return Exit.FINDINGS
    if tally.nothing_read:
        return Exit.BAD_INPUT
    return Exit.OK if tally.complete and all_rules else Exit.INCOMPLETE


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
