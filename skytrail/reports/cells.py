"""How values of a report are written for people: the same words and line ends on the page and in the PDF."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

from skytrail.reports.report import Report, Section, Verdict

MEANINGS = {
    Verdict.PASS: "measured, and as it should be",
    Verdict.FAIL: "measured, and not as it should be",
    Verdict.NOT_MEASURED: "nobody can say",
    Verdict.FACTS: "figures that judge nothing",
}
"""What the verdicts mean, for who reads a report and nothing else."""
LONG = 24
"""A word of more letters than this may be parted after a mark within it, such as the dots of a topic's name."""
_UNBROKEN = 32
_MARKS = re.compile(r"(?<=[._/:@=,;|+-])(?=[^._/:@=,;|+-])")
_WORDS = re.compile(r"(\s+)")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.0+(?=Z))?(\.\d+)?Z")
_COMMAND = re.compile(r"`([^`]+)`")


def shown(value: Any) -> str:
    """A value in words."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}"
    if time := _TIME.fullmatch(str(value)):  # the same moment, without noughts that say nothing
        return f"{time[1]} {time[2]}{time[3] or ''} UTC"
    return visible(str(value))


def visible(text: str) -> str:
    """A text whose invisible letters are told: with those that turn its direction a log could show what it is not."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else " " if each == "\n" else f"U+{ord(each):04X}" for each in text)


def quoted(text: str) -> str:
    """A text of ours with what stands between backticks in quotation marks, where there is no other face for it."""
    return _COMMAND.sub(r"“\1”", text)


def moment(time: dt.datetime) -> str:
    """A time as people write it, in UTC."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def head(report: Report) -> Iterator[tuple[str, str]]:
    """What stands at the top of a report besides its title: name and value."""
    start = moment(report.start) if report.start else "the beginning"
    yield "Scope", report.scope
    yield "Period", f"{start} to {moment(report.end)}"
    yield "Made", f"{moment(report.made_at)} by {report.made_by}, {report.product}"


def meanings(report: Report) -> str:
    """What the verdicts of this report mean."""
    there = {section.verdict for section in report.sections} | {report.verdict}
    return "; ".join(f"{verdict.value}: {told}" for verdict, told in MEANINGS.items() if verdict in there)


def middle_cut(text: str, letters: int) -> str:
    """A text with its middle left out if it is longer: labels differ at their ends as often as at their starts."""
    if len(text) <= letters:
        return text
    half = (letters - 1) // 2
    return f"{text[: letters - 1 - half]}…{text[-half:]}"


def numeric(section: Section) -> tuple[bool, ...]:
    """Which columns hold numbers and nothing else: they stand at the right, together with their heads."""
    return tuple(_is_numeric([row[at] for row in section.rows]) for at in range(len(section.columns)))


def _is_numeric(values: list[Any]) -> bool:
    there = [value for value in values if value is not None]
    return bool(there) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)


def words(text: str) -> Iterator[str]:
    """A text in words and the blanks between them, in turn."""
    return (each for each in _WORDS.split(text) if each)


def parts(word: str) -> list[str]:
    """The parts of a word between which a line may end: most words have one, names and addresses some."""
    return _MARKS.split(word) if len(word) > LONG else [word]


def may_break(part: str) -> bool:
    """Whether a line may end anywhere in a part, because it is a hash or an id and no word."""
    return len(part) > _UNBROKEN
