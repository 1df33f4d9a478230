"""Puts tokens in the place of personal values, wherever they stand in a document: values, texts, names. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from ingest.pseudonyms.personal import KEPT_PATHS, is_no_person, is_read
from ingest.pseudonyms.tokens import EMAIL, Kind, kind_of
from ingest.pseudonyms.words import Span, fold, known_of, merged, spans

SHORTEST: Final = 3
"""Characters; a shorter value is replaced where it is all of a text, because parts of words would be, too."""
LONGEST_WITHIN: Final = 256
"""Characters; a longer value is no name, and replaced where it is all of a text."""
_FEW: Final = 64
"""Values that are looked for one by one, before a text is taken apart."""

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
        self._known = known_of(
            {value: token for value, token in self._exact.items() if SHORTEST <= len(value) <= LONGEST_WITHIN}
        )
        few = [text for bucket in self._known.values() for text in bucket.tokens]
        self._few = few if len(few) <= _FEW else None

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
        folded = fold(text)
        emails = self._emails and "@" in text
        if not emails and self._few is not None:
            for form in self._few:  # a loop, not any(): nearly every text ends here
                if form in folded:
                    break
            else:
                return text
        found = spans(folded, self._known)
        if emails:
            found = merged(found, list(self._addresses(text)))
        parts, at = [], 0
        for start, end, token in found:
            parts += [text[at:start], token]
            at = end
        return "".join([*parts, text[at:]]) if parts else text

    def _addresses(self, text: str) -> Iterator[Span]:
        """The e-mail addresses in a text."""
        for match in EMAIL.finditer(text):
            if not is_no_person(match[0]):
                yield Span(*match.span(), self._token_of(match[0]))

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


def _is_plain(name: str) -> bool:
    return name.replace("_", "").isalpha()
