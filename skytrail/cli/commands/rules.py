"""`skytrail rules`: list, lint and test detection rules; needs no service."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from detectors.findings import Finding
from detectors.proving import OWN_RULES, no_file
from detectors.rule_files import rule_files
from detectors.rulebook import Rulebook, load
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import OutputOption, emit_rows, say

PathsArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="[PATH…]", help="Files or directories; default: the rules in force.")
]

group = typer.Typer(help="Detection rules.", no_args_is_help=True)
"""The group `rules`; other files of this package add their verbs to it."""


def register(app: typer.Typer) -> None:
    """Add the group with its first commands."""
    group.command("list")(rules_list)
    group.command("lint")(rules_lint)
    group.command("test")(rules_test)
    group.command("exceptions")(rules_exceptions)
    app.add_typer(group, name="rules")


def rules_list(context: typer.Context, paths: PathsArgument = None, output: OutputOption = None) -> None:
    """List rules; their tests are not run.

    Examples:  skytrail rules list   |   skytrail rules list ./my-rules -o json
    """
    book = load(_paths(context, paths), _placeholders(context), prove=no_file)
    rows = (
        {
            "id": rule.id,
            "level": rule.level,
            "severity": rule.level,
            "title": rule.title,
            "product": rule.log_source.product,
            "service": rule.log_source.service,
            "techniques": [t.id for t in rule.techniques],
            "tests": len(rule.tests),
            "version": rule.version,
            "author": rule.author,
        }
        for rule in book.everything
    )
    emit_rows(rows, output, columns=("id", "level", "title", "product", "service", "techniques", "tests"))
    say(
        f"{len(book.rules)} rules, {len(book.correlations)} correlations, {len(book.exceptions)} exceptions; "
        f"rule-set version {book.version}, {len(book.errors)} refused"
    )


def rules_lint(context: typer.Context, paths: PathsArgument = None, output: OutputOption = None) -> None:
    """Say what is wrong or odd about rules; exit 2 when one is refused, or a path holds no rule file.

    Examples:  skytrail rules lint   |   skytrail rules lint ./my-rules -o json
    """
    book = load(_paths(context, paths), _placeholders(context), today=dt.datetime.now(dt.UTC).date())
    empty = _without_rules(_paths(context, paths))
    findings = [*book.findings, *empty]
    emit_rows(map(dataclasses.asdict, findings), output, columns=("severity", "file", "rule", "message"))
    say(f"{_counted(book)} loaded, {len(book.errors)} refused, {len(findings)} findings")
    if book.errors or empty:
        raise typer.Exit(Exit.BAD_INPUT)


def rules_test(context: typer.Context, paths: PathsArgument = None, output: OutputOption = None) -> None:
    """Run the tests that rules carry; exit 2 when one fails, a rule is refused, or a path holds no rule file.

    Examples:  skytrail rules test   |   skytrail rules test ./my-rules/new.yml
    """
    book = load(_paths(context, paths), _placeholders(context))
    failed = sum(not result.ok for result in book.results)
    rows = ({**dataclasses.asdict(result), "ok": result.ok} for result in book.results)
    count = emit_rows(rows, output, columns=("ok", "rule", "name", "expected", "fired", "problem"))
    empty = _without_rules(_paths(context, paths))
    for finding in (*book.errors, *empty):
        say(str(finding))
    say(f"{count} tests of {_counted(book)}, {failed} failed; {len(book.errors)} findings kept rules out")
    if failed or book.errors or empty:
        raise typer.Exit(Exit.BAD_INPUT)


def rules_exceptions(context: typer.Context, paths: PathsArgument = None, output: OutputOption = None) -> None:
    """List exceptions: what they keep from people, whose they are, why, and until when.

    One that is refused counts nowhere; it is named on stderr, like any rule beside it, and the command ends with 5.

    Examples:  skytrail rules exceptions   |   skytrail rules exceptions ./my-rules -o json
    """
    today = dt.datetime.now(dt.UTC).date()
    book = load(_paths(context, paths), _placeholders(context), today=today, prove=no_file)
    rows = (
        {
            "id": one.id,
            "title": one.title,
            "rules": sorted(one.rules) if one.rules is not None else "any",
            "tags": sorted(one.tags),
            "namespaces": list(one.namespaces) or "all",
            "owner": one.owner,
            "justification": one.justification,
            "expires": str(one.expires),
            "in_force": one.in_force(today),
            "file": one.source,
        }
        for one in book.exceptions
    )
    columns = ("id", "rules", "tags", "namespaces", "owner", "justification", "expires", "in_force")
    count = emit_rows(rows, output, columns=columns)
    for finding in book.errors:
        say(str(finding))
    expired = sum(not one.in_force(today) for one in book.exceptions)
    say(f"{count} exceptions, {expired} of them expired; {len(book.errors)} findings kept exceptions or rules out")
    if book.errors:
        raise typer.Exit(Exit.INCOMPLETE)


def _without_rules(paths: Iterable[Path]) -> list[Finding]:
    """A finding for each path without a rule file: who lints it believes that there are rules."""
    why = "no rule file (*.yml, *.yaml) lies here"
    return [Finding(str(path), "", "error", why) for path in paths if next(rule_files(path), None) is None]


def _counted(book: Rulebook) -> str:
    return f"{len(book.rules)} rules and {len(book.correlations)} correlations"


def _paths(context: typer.Context, paths: list[Path] | None) -> list[Path]:
    if paths:
        return paths
    detection = context_of(context).settings.detection
    return [*([OWN_RULES] if detection.shipped_rules else []), *detection.rules]


def _placeholders(context: typer.Context) -> dict[str, tuple[str, ...]]:
    return context_of(context).settings.detection.placeholders
