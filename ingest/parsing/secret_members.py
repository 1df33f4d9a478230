"""Taking secrets out of a JSON text by the names they stand under and by what tokens look like.

Everything else keeps its exact bytes. JSON inside a text is opened, redacted and written again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import orjson

from ingest.parsing.json_value import json_text
from ingest.parsing.web_tokens import without_web_tokens

_WORD = b"<redacted>"
_STRING = rb'"(?:[^"\\]|\\.)*+"'
# One that does not end is taken to the end of all: else each quote in it would be tried as the beginning of another.
_ANY_TEXT = re.compile(rb'"(?:[^"\\]|\\.|\\\Z)*+"?', re.DOTALL)
_TOKENS = (
    (
        b"PRIVATE KEY-----",
        re.compile(rb"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-\"]*+(?:-----END [A-Z ]{0,20}KEY-----)?"),
    ),
)
"""PEM keys, with a text that is in all of them and quickly searched for."""
_MOST_TEXTS = 3  # JSON in JSON in JSON


class SecretMembers:
    """Replaces what stands under certain names: texts, and lists of texts."""

    def __init__(self, names: str, marks: str, tokens: Iterable[tuple[bytes, re.Pattern[bytes]]] = ()) -> None:
        """Compile the patterns.

        Args:
            names: Regular expressions of the names, blanks between them; case does not matter.
            marks: Texts of which one is in every such name and its closing quote, without case, `_` and `-`: a search
                for them costs less than one for the pattern.
            tokens: Secrets that are told by their form, each with a text that is in all of them.
        """
        name = "(?:" + "|".join(names.split()) + ")"
        self._marks = tuple(mark.encode() for mark in marks.split())
        value = rb"(?:" + _STRING + rb"|\[\s*" + _STRING + rb"(?:\s*,\s*" + _STRING + rb")*+\s*\])"
        self._member = re.compile(rb'("%b"\s*:\s*)(%b)' % (name.encode(), value), re.IGNORECASE | re.DOTALL)
        self._in_text = re.compile(rb'\\"%b\\+"' % name.encode(), re.IGNORECASE)
        self._tokens = (*_TOKENS, *tokens)

    def redact(self, record: bytes, texts: int = _MOST_TEXTS) -> bytes:
        """The record without secrets; the same object when there is none. Never raises, whatever the bytes.

        Args:
            record: A JSON text; one that is none does no harm.
            texts: Levels of JSON inside a text that are opened; a deeper one that names a secret is replaced whole.
        """
        folded = record.lower().replace(b"_", b"").replace(b"-", b"").replace(b"\\", b"")
        if any(mark in folded for mark in self._marks):
            clean = self._member.sub(_without_value, record)
            record = record if clean == record else clean
            if self._in_text.search(record):
                record = _ANY_TEXT.sub(lambda match: self._clean_text(match.group(), texts), record)
        for telltale, token in self._tokens:
            if telltale in record and token.search(record):
                record = token.sub(_WORD, record)
        return without_web_tokens(record)

    def _clean_text(self, text: bytes, texts: int) -> bytes:
        if not self._in_text.search(text):
            return text
        inner = json_text(text.decode("utf-8", "replace"))
        if not texts or inner.__class__ is not str:
            return b'"' + _WORD + b'"'
        before = inner.encode("utf-8", "replace")
        after = self.redact(before, texts - 1)
        return text if after is before else orjson.dumps(after.decode("utf-8", "replace"))


def _without_value(match: re.Match[bytes]) -> bytes:
    name, value = match.groups()
    if value == b'""':
        return match.group()
    return bytes(name) + (b'["%b"]' if value.startswith(b"[") else b'"%b"') % _WORD
