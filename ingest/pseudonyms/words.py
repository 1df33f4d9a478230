"""Finds values in a text where they are words of their own, in time that grows with the text alone. Pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

_WORD: Final = re.compile(r"[^\W_]+")
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}|\\[nrtbf]|\\u[0-9A-Fa-f]{4}")
_LONGEST_ESCAPE: Final = 6
_MOST_LEAD: Final = 8
"""Characters before the first word of a value; with more it is no name."""


class Form(NamedTuple):
    """A way in which a value is written within a text.

    Attributes:
        text: Folded.
        word: Its first word, by which it is looked for; empty where it has none.
        lead: What stands before that, characters.
    """

    text: str
    word: str
    lead: int


class Span(NamedTuple):
    """A place in a text and what is put there."""

    start: int
    end: int
    token: str


class Bucket:
    """The forms with one first word.

    Attributes:
        tokens: Text of a form → its token.
        probes: Where forms begin before that word, and how long they are: the longest first. There are few, however
            many forms there are.
    """

    __slots__ = ("probes", "tokens")

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.probes: list[tuple[int, int]] = []


Known = Mapping[str, Bucket]
"""First word → forms that begin with it."""


def known_of(tokens: Mapping[str, str]) -> Known:
    """What to look for: values and their tokens."""
    found: dict[str, Bucket] = {}
    probes: dict[str, set[tuple[int, int]]] = {}
    for value, token in tokens.items():
        for form in forms_of(value):
            if form.word:
                found.setdefault(form.word, Bucket()).tokens[form.text] = token
                probes.setdefault(form.word, set()).add((form.lead, len(form.text)))
    for word, bucket in found.items():
        bucket.probes = sorted(probes[word], key=_longest)
    return found


def _longest(probe: tuple[int, int]) -> tuple[int, int]:
    return -probe[1], probe[0]


def fold(text: str) -> str:
    """The text without regard to case, each character in its place."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(one if len(one) == 1 else each for each, one in zip(text, map(str.casefold, text), strict=True))


@functools.lru_cache(maxsize=16384)
def forms_of(value: str) -> tuple[Form, ...]:
    """How a value is written within texts, case apart: as it is, within an address of the web, within JSON."""
    written = value.encode("utf-8", "replace")
    spelled = {value, quote(written, safe=""), quote(written, safe=":/"), json.dumps(value)[1:-1]}
    forms = (_form(folded) for folded in sorted({fold(each) for each in spelled}))
    return tuple(form for form in forms if form.lead <= _MOST_LEAD)


def _form(folded: str) -> Form:
    first = _WORD.search(folded)
    return Form(folded, first[0], first.start()) if first else Form(folded, "", 0)


def spans(folded: str, known: Known) -> list[Span]:
    """The places of known values in a folded text, from left to right, the longest where several begin.

    A word that an escape runs into (`%2F`, a backslash and `n`) is looked at from behind it, too.
    """
    found: list[Span] = []
    may_escape = "%" in folded or "\\" in folded
    for match in _WORD.finditer(folded):
        word = match[0]
        if word in known:
            _take(folded, match.start(), known[word], found)
        if may_escape and (at := _behind_escape(folded, match.start())) and folded[at : match.end()] in known:
            _take(folded, at, known[folded[at : match.end()]], found)
    return found


def _take(folded: str, start: int, bucket: Bucket, found: list[Span]) -> None:
    """Add the longest form whose first word stands at a place."""
    free = found[-1].end if found else 0
    for lead, length in bucket.probes:
        begin = start - lead
        if begin < free:
            continue
        token = bucket.tokens.get(folded[begin : begin + length])
        if token is not None and _stands_alone(folded, begin, begin + length):
            found.append(Span(begin, begin + length, token))
            return


def _behind_escape(folded: str, start: int) -> int:
    """Where an escape ends whose letters begin a word; 0 where there is none."""
    escape = _ESCAPE.match(folded, start - 1) if start else None
    return escape.end() if escape else 0


def merged(values: list[Span], emails: list[Span]) -> list[Span]:
    """Both from left to right without overlaps: an e-mail address gives way only to what holds it as a whole."""
    kept: list[tuple[Span, bool]] = []
    both = [*((span, False) for span in values), *((span, True) for span in emails)]
    for span, is_email in sorted(both, key=_leftmost):
        if not kept or span.start >= kept[-1][0].end:
            kept.append((span, is_email))
        elif is_email and span.end > kept[-1][0].end:
            kept[-1] = span, True
    return [span for span, _ in kept]


def _leftmost(one: tuple[Span, bool]) -> tuple[int, int]:
    return one[0].start, -one[0].end


def _stands_alone(folded: str, start: int, end: int) -> bool:
    if folded[end : end + 1].isalnum():
        return False
    before = folded[max(0, start - _LONGEST_ESCAPE) : start]
    return not before[-1:].isalnum() or _ends_with_escape(before)


def _ends_with_escape(before: str) -> bool:
    return any(_ESCAPE.fullmatch(before, len(before) - length) for length in (3, 2, _LONGEST_ESCAPE))
