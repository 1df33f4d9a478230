"""How values of a report are written for people: the same words and line ends on the page and in the PDF."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from skytrail.reports.report import Section

LONG = 24
"""A word of more letters than this may be parted after a mark within it, such as the dots of a topic's name."""
_UNBROKEN = 32
_MARKS = re.compile(r"(?<=[._/:@=,;|+-])(?=[^._/:@=,;|+-])")
_WORDS = re.compile(r"(\s+)")


def shown(value: Any) -> str:
    """A value in words."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else visible(str(value))


def visible(text: str) -> str:
    """A text whose invisible letters are told: with those that turn its direction a log could show what it is not."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else " " if each == "\n" else f"U+{ord(each):04X}" for each in text)


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
