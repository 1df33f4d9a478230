"""A JSON reader for what the fast one refuses or bends: exact integers, broken Unicode, any depth up to a limit.

It keeps its own stack, so hostile nesting can't exhaust the interpreter's. Grammar: RFC 8259, nothing more.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 1000
MAX_INTEGER_DIGITS = 4300  # more digits take the interpreter quadratic time; it refuses them by default, too

_BLANK = re.compile(r"[ \t\n\r]*+")
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*+))(\.[0-9]++)?([eE][+-]?[0-9]++)?")
_LITERALS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_strings = json.JSONDecoder()
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonFault(ValueError):
    """Why a text is not JSON that we read; becomes a `MalformedRecord` where a record is concerned."""


def read_json(text: bytes) -> Any:
    """The value of a whole JSON text; invalid UTF-8 and lone surrogates become U+FFFD.

    Raises:
        JsonFault: Not JSON, an infinite number, an integer that is too long, nesting beyond `MAX_DEPTH`.
    """
    return _Reader(text.decode("utf-8", "replace")).read()


class _Reader:
    """Reads one text; `at` is the character that comes next."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def read(self) -> Any:
        """The only value of the text."""
        value = self._value()
        if self._peek():
            raise self._fault("something follows the value")
        return value

    def _value(self) -> Any:
        """A value with all that is in it; `open_` holds the containers around the place we are at, with their keys."""
        open_: list[tuple[dict[str, Any] | list[Any], str]] = []
        while True:
            opening = self._peek()
            if opening in ("{", "["):
                if len(open_) == MAX_DEPTH:
                    raise self._fault(f"nested deeper than {MAX_DEPTH} levels")
                self.at += 1
                value: Any = {} if opening == "{" else []
                if self._peek() != ("}" if opening == "{" else "]"):
                    open_.append((value, self._key() if opening == "{" else ""))
                    continue
                self.at += 1
            else:
                value = self._scalar(opening)
            while open_:
                around, key = open_.pop()
                if isinstance(around, dict):
                    around[key] = value
                else:
                    around.append(value)
                if self._goes_on("}" if isinstance(around, dict) else "]"):
                    open_.append((around, self._key() if isinstance(around, dict) else ""))
                    break
                value = around
            else:
                return value

    def _peek(self) -> str:
        """The next character that is not blank, empty at the end."""
        self.at = _BLANK.match(self.text, self.at).end()  # type: ignore[union-attr]  # matches always, if only nothing
        return self.text[self.at : self.at + 1]

    def _goes_on(self, closing: str) -> bool:
        """Past a comma (another member follows) or past `closing`."""
        found = self._peek()
        if found not in (",", closing) or not found:
            raise self._fault(f"a comma or {closing} is expected")
        self.at += 1
        return found == ","

    def _key(self) -> str:
        if self._peek() != '"':
            raise self._fault("a key in quotes is expected")
        key = self._string()
        if self._peek() != ":":
            raise self._fault("a colon is expected")
        self.at += 1
        return key

    def _scalar(self, opening: str) -> Any:
        if opening == '"':
            return self._string()
        word, value = _LITERALS.get(opening, ("", None))
        if word and self.text.startswith(word, self.at):
            self.at += len(word)
            return value
        number = _NUMBER.match(self.text, self.at)
        if not number:
            raise self._fault("a value is expected" if opening else "the text ends too early")
        self.at = number.end()
        return self._number(number)

    def _number(self, number: re.Match[str]) -> int | float:
        whole, fraction, exponent = number.groups()
        if fraction or exponent:
            value = float(number.group())
            if math.isinf(value):
                raise self._fault("a number is too large for a double")
            return value
        if len(whole) > MAX_INTEGER_DIGITS:
            raise self._fault(f"an integer has more than {MAX_INTEGER_DIGITS} digits")
        return int(whole)

    def _string(self) -> str:
        try:
            text, self.at = _strings.raw_decode(self.text, self.at)
        except json.JSONDecodeError as exc:
            self.at = exc.pos
            raise self._fault(exc.msg[:1].lower() + exc.msg[1:]) from exc
        return _SURROGATE.sub("\ufffd", str(text))

    def _fault(self, why: str) -> JsonFault:
        return JsonFault(f"{why} (character {self.at})")
