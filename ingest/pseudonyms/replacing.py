"""Puts tokens in the place of personal values, wherever they stand in a document: values, texts, names. Pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final
from urllib.parse import quote

from ingest.pseudonyms.personal import KEPT_PATHS, is_no_person, is_read
from ingest.pseudonyms.tokens import EMAIL, Kind, kind_of

SHORTEST: Final = 3
"""Characters; a shorter value is replaced where it is all of a text, because parts of words would be, too."""
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_]*")
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}|\\[nrtbf]|\\u[0-9A-Fa-f]{4}")
_LONGEST_ESCAPE: Final = 6

TokenOf = Callable[[str], str]


class Replacing:
    """The replacements of one document. Trees are as `json.loads` makes them.

    Args:
        token_of: Gives the token of a value.
        values: What is personal in the document.
        kinds: Which kinds become tokens.
    """

    def __init__(self, token_of: TokenOf, values: Collection[str], kinds: Collection[Kind]) -> None:
        self._token_of = token_of
        self._emails = "email" in kinds
        self._exact = {value: token_of(value) for value in sorted(values) if kind_of(value) in kinds}
        long = {form: token for value, token in self._exact.items() if len(value) >= SHORTEST for form in _forms(value)}
        self._forms = sorted(long.items(), key=_first)

    def tree(self, node: Any) -> Any:
        """A copy of a tree with tokens in the place of values."""
        kind = type(node)
        if kind is str:
            return self.text(node)
        if kind is dict:
            made: dict[str, Any] = {}
            for name, value in node.items():
                made[name if _is_plain(name) else self._name(name, made)] = self.tree(value)
            return made
        if kind is list:
            return [self.tree(each) for each in node]
        return node

    def document(self, document: dict[str, Any]) -> dict[str, Any]:
        """The same for a document: what holds words of a standard or of the pipeline stays as it is."""
        made: dict[str, Any] = {}
        for top, part in document.items():
            if type(part) is dict and top in ("event", "skytrail"):
                made[top] = {name: self.tree(value) if is_read(top, name) else value for name, value in part.items()}
            else:
                made[top] = self.tree(part) if is_read(top, "") else part
        for path in KEPT_PATHS:
            _keep(document, made, path)
        return made

    def text(self, text: str) -> str:
        """A text with tokens in it."""
        whole = self._exact.get(text)
        if whole is not None:
            return whole
        if len(text) < SHORTEST:
            return text
        folded = _fold(text)
        found = [each for each in self._forms if each[0] in folded]
        emails = self._emails and "@" in text
        return self._spliced(text, folded, found, emails=emails) if found or emails else text

    def _spliced(self, text: str, folded: str, found: Collection[tuple[str, str]], *, emails: bool) -> str:
        """The text with tokens: first of values with an e-mail address in them, then of others, the longest first."""
        spans: list[tuple[int, int, str]] = []
        for form, token in found:
            if "@" in form:
                _add(spans, _places(text, folded, form), token)
        if emails:
            for match in EMAIL.finditer(text):
                if not is_no_person(match[0]):
                    _add(spans, [match.span()], self._token_of(match[0]))
        for form, token in found:
            if "@" not in form:
                _add(spans, _places(text, folded, form), token)
        parts, at = [], 0
        for start, end, token in sorted(spans):
            parts += [text[at:start], token]
            at = end
        return "".join([*parts, text[at:]])

    def _name(self, name: str, taken: Collection[str]) -> str:
        """A name of a member, where it is no plain word: that is the vendor's, even where somebody is called so."""
        changed = shown = self.text(name)
        number = 2
        while changed != name and shown in taken:  # two spellings of one value
            shown, number = f"{changed}-{number}", number + 1
        return shown


def _keep(document: dict[str, Any], made: dict[str, Any], path: tuple[str, ...]) -> None:
    """Let a field be as it was."""
    *above, last = path
    for part in above:
        if type(document.get(part)) is not dict:
            return
        document, made = document[part], made[part]
    if last in document:
        made[last] = document[last]


def _first(form: tuple[str, str]) -> tuple[int, str]:
    return -len(form[0]), form[0]


def _add(
    spans: list[tuple[int, int, str]], places: Collection[tuple[int, int]] | Iterator[tuple[int, int]], token: str
) -> None:
    """Add places that do not overlap with what is there."""
    for start, end in places:
        if all(end <= other[0] or start >= other[1] for other in spans):
            spans.append((start, end, token))


def _places(text: str, folded: str, form: str) -> Iterator[tuple[int, int]]:
    """Where a form stands as a word of its own; an escape before it is no part of a word."""
    start = folded.find(form)
    while start >= 0:
        end = start + len(form)
        if not text[end : end + 1].isalnum() and (
            not text[start - 1 : start].isalnum() or _is_behind_escape(text[max(0, start - _LONGEST_ESCAPE) : start])
        ):
            yield start, end
        start = folded.find(form, start + 1)


def _is_behind_escape(before: str) -> bool:
    return any(_ESCAPE.fullmatch(before, len(before) - length) for length in (3, 2, _LONGEST_ESCAPE))


def _fold(text: str) -> str:
    """The text without regard to case, each character in its place."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(one if len(one) == 1 else each for each, one in zip(text, map(str.casefold, text), strict=True))


@functools.lru_cache(maxsize=65536)
def _is_plain(name: str) -> bool:
    return _PLAIN_NAME.fullmatch(name) is not None


@functools.lru_cache(maxsize=65536)
def _forms(value: str) -> tuple[str, ...]:
    """How a value is spelled within texts, case apart: as it is, within an address of the web, within JSON."""
    written = value.encode("utf-8", "replace")
    return tuple(
        {_fold(form) for form in (value, quote(written, safe=""), quote(written, safe=":/"), json.dumps(value)[1:-1])}
    )
