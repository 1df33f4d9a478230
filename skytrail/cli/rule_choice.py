"""Which rules a command is about: those in force, those of some paths, or one by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from detectors.correlation.model import Correlation
from detectors.proving import OWN_RULES, every_file, no_file
from detectors.rule import Rule
from detectors.rulebook import Rulebook, load
from detectors.sigma.filters import Filter
from ingest.schema.errors import ConfigError
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import say
from skytrail.scan.correlating import upon


def load_rules(context: typer.Context, paths: Sequence[Path] | None, *, prove: bool = False) -> Rulebook:
    """The rules of these paths, else those in force.

    Args:
        context: Of the command.
        paths: Files and directories.
        prove: Whether rules run their own tests, and are refused when they fail them. Workers and lint do; who
            hunts over files does not want to wait for it.
    """
    detection = context_of(context).settings.detection
    shipped = [OWN_RULES] if detection.shipped_rules else []
    return load(paths or [*shipped, *detection.rules], detection.placeholders, prove=every_file if prove else no_file)


def usable(book: Rulebook, *, strict: bool = False) -> Rulebook:
    """The rules, if there are any; each that was refused is named.

    Raises:
        typer.Exit: None could be loaded, or, when strict, not all.
    """
    for finding in book.errors:
        say(str(finding))
    if not (book.rules or book.correlations) or (strict and book.errors):
        say(f"{len(book.rules)} rules loaded, {len(book.errors)} findings kept rules out. Next: skytrail rules lint")
        raise typer.Exit(Exit.BAD_INPUT)
    return book


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rules to be run together; attributes as in `Rulebook`.

    Attributes:
        refused: How many of those that were asked for were refused.
    """

    rules: tuple[Rule, ...]
    bases: tuple[Rule, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    refused: int = 0

    @property
    def telling(self) -> tuple[Rule, ...]:
        """Those that raise alerts."""
        return (*self.rules, *(one.rule for one in self.correlations if not one.silent))


def rules_in_force(context: typer.Context) -> Chosen:
    """All of them.

    Raises:
        typer.Exit: None can be loaded.
    """
    book = usable(load_rules(context, None))
    return Chosen(book.rules, book.bases, book.correlations, refused=len(book.errors))


def chosen_rules(context: typer.Context, name: str) -> Chosen:
    """As `rules_named`, with correlations: one by its name or id comes with all that it builds upon, silently.

    Raises:
        ConfigError: There is none.
        typer.Exit: The file holds none that can be loaded.
    """
    if Path(name).exists() or name.endswith((".yml", ".yaml")):
        book = usable(load_rules(context, [Path(name)]))
        return Chosen(book.rules, book.bases, book.correlations, refused=len(book.errors))
    book = load_rules(context, None)
    wanted = next((one.id for one in book.correlations if name in (one.id, one.rule.uuid)), None)
    if wanted is None:
        return Chosen(rules_named(context, name))
    correlations = upon(book.correlations, {wanted})
    below = {rule_id for one in correlations for rule_id in one.rules}
    return Chosen((), tuple(rule for rule in book.evaluated if rule.id in below), correlations)


def exceptions_for(context: typer.Context, rule: Rule, name: str) -> tuple[Filter, ...]:
    """The exceptions about a rule: those of the rule set in force, and those beside the rule where it is a path."""
    settings = context_of(context).settings.detection
    paths = dict.fromkeys([*settings.rules, *([Path(name)] if Path(name).exists() else [])])
    found = load(paths, settings.placeholders, prove=no_file).exceptions if paths else ()
    return tuple(one for one in found if one.covers(rule))


def rules_named(context: typer.Context, name: str) -> tuple[Rule, ...]:
    """The rules of a file or directory, else the one in force with this name or id.

    Raises:
        ConfigError: There is none.
        typer.Exit: The file holds none that can be loaded.
    """
    if Path(name).exists() or name.endswith((".yml", ".yaml")):
        return usable(load_rules(context, [Path(name)])).rules
    book = load_rules(context, None)
    found = book.get(name) or next(
        (rule for rule in (*book.everything, *book.bases) if name in (rule.id, rule.uuid)), None
    )
    if found is None:
        raise ConfigError(
            f"looking for rule {name!r}: it is not in force",
            mend="`skytrail rules list` shows the ids; a file works, too",
        )
    if found not in book.evaluated:
        raise ConfigError(
            f"looking for rule {name!r}: it is a correlation, which one event can't answer",
            mend="name one of the rules that it builds upon; `skytrail rules test` runs a correlation's tests",
        )
    return (found,)
