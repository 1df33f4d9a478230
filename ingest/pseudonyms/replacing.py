"""Puts tokens in the place of personal values, wherever they stand in a document: values, texts, names. Pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Collection
from typing import Any, Final
from urllib.parse import quote

from ingest.pseudonyms.personal import is_no_person, is_read
from ingest.pseudonyms.tokens import EMAIL, Kind, kind_of

SHORTEST: Final = 3
"""Characters; a shorter value is replaced where it is all of a text, because parts of words would be, too."""
_BEFORE: Final = r"(?:(?<![^\W_])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4}))"
_AFTER: Final = r"(?![^\W_])"
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_]*")

TokenOf = Callable[[str], str]


class Replacing:
    """The replacements of one document.

    Args:
        token_of: Gives the token of a value.
        values: What is personal in the document.
        kinds: Which kinds become tokens.
    """

    def __init__(self, token_of: TokenOf, values: Collection[str], kinds: Collection[Kind]) -> None:
        self._token_of = token_of
        self._emails = "email" in kinds
        self._exact = {value: token_of(value) for value in sorted(values) if kind_of(value) in kinds}
        spelled = {form: value for value in self._exact for form in _forms(value) if len(value) >= SHORTEST}
        self._folded = {form.lower(): self._exact[value] for form, value in spelled.items()}
        self._needles = sorted(self._folded, key=lambda form: (-len(form), form))

    def tree(self, node: Any) -> Any:
        """A copy of a tree with tokens in the place of values."""
        kind = type(node)
        if kind is str:
            return self.text(node)
        if kind is dict:
            made: dict[str, Any] = {}
            for name, value in node.items():
                made[self._name(name, made)] = self.tree(value)
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
        principal = document.get("skytrail", {}).get("principal")
        if type(principal) is dict and "type" in principal:
            made["skytrail"]["principal"]["type"] = principal["type"]  # somebody may be called `user`
        return made

    def text(self, text: str) -> str:
        """A text with tokens in it."""
        whole = self._exact.get(text)
        if whole is not None:
            return whole
        if len(text) < SHORTEST:
            return text
        folded = text.lower()
        found = tuple([needle for needle in self._needles if needle in folded])
        emails = self._emails and "@" in text
        if not found and not emails:
            return text
        return _pattern(found, emails=emails).sub(self._replaced, text)

    def _replaced(self, match: re.Match[str]) -> str:
        found = match[0]
        known = self._exact.get(found) or self._folded.get(found.lower())
        if known is not None:
            return known
        return found if is_no_person(found) else self._token_of(found)

    def _name(self, name: str, taken: Collection[str]) -> str:
        """A name of a member: one plain word is the vendor's, even where somebody is called so."""
        if _is_plain(name):
            return name
        changed = shown = self.text(name)
        number = 2
        while changed != name and shown in taken:  # two spellings of one value
            shown, number = f"{changed}-{number}", number + 1
        return shown


@functools.lru_cache(maxsize=65536)
def _is_plain(name: str) -> bool:
    return _PLAIN_NAME.fullmatch(name) is not None


@functools.lru_cache(maxsize=65536)
def _forms(value: str) -> tuple[str, ...]:
    """How a value is spelled within texts: as it is, within an address of the web, within JSON."""
    written = value.encode("utf-8", "replace")
    forms = {value, quote(written, safe=""), quote(written, safe=":/"), json.dumps(value)[1:-1]}
    return tuple(sorted(forms))


@functools.lru_cache(maxsize=65536)
def _pattern(needles: tuple[str, ...], *, emails: bool) -> re.Pattern[str]:
    """Matches what stands in a text, the longest first; a whole e-mail address before a name that begins one."""
    within = [re.escape(needle) for needle in needles if "@" in needle or "%40" in needle]
    others = [re.escape(needle) for needle in needles if "@" not in needle and "%40" not in needle]
    parts = [rf"{_BEFORE}(?:{'|'.join(within)}){_AFTER}"] if within else []
    parts += [EMAIL.pattern] if emails else []
    parts += [rf"{_BEFORE}(?:{'|'.join(others)}){_AFTER}"] if others else []
    return re.compile("|".join(parts), re.IGNORECASE)
