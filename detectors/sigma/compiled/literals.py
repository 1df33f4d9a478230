r"""Which bytes a JSON record must hold for a leaf to hold: what the literal gate looks for.

The gate searches the record as it came, ignoring the case of ASCII letters. A literal is taken only when every event on
which the leaf holds has it in its bytes:

* quotes, backslashes, slashes, control characters and everything beyond ASCII may be written in several ways, so a
  literal ends there;
* numbers are compared as texts but written in many ways (`1e3`), and objects are compared as compact JSON whatever the
  white space of the record: a literal needs a character that stands only inside a JSON string;
* a string may spell any character as `\uXXXX`, and three characters beyond ASCII equal ASCII letters when case is
  ignored: records that hold such go past the gate (`bypasses`).

Beside texts, the name of a field inside a body is such a literal: without the name there is no field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from detectors.sigma.ast import Regex, Text
from detectors.sigma.compiled.tree import Anywhere, Leaf, OneOf, needs_field
from detectors.sigma.values import pieces_of

SHORTEST = 4  # bytes; shorter ones are everywhere, and the gate lets everything pass
_VERBATIM = re.compile(r"[ !#-.0-\[\]-~]+")
_OUTSIDE_STRINGS = frozenset("0123456789+-.{}[]:, truefalsnxabcd")
"""What numbers, `true`, `false`, `null` and the structure of JSON are made of, huge numbers in hexadecimal included."""
_ESCAPE = b"\\u"
_FOLDED_TO_ASCII = ("\u0130".encode(), "\u212a".encode(), "\u017f".encode())
"""The only characters beyond ASCII that equal ASCII letters when case is ignored: İ and the sign of Kelvin for
`str.lower`, the latter and the long s for RE2."""


def bypasses(record: bytes) -> bool:
    """Whether a record may hold a literal that a search of its bytes does not see."""
    return _ESCAPE in record or (not record.isascii() and any(each in record for each in _FOLDED_TO_ASCII))


def literals_of(leaf: Leaf, paths: Sequence[str] | None) -> tuple[str, ...] | None:
    """Lower-case literals of which the bytes searched must hold one for the leaf to hold; None when there are none.

    Args:
        leaf: The leaf.
        paths: Of every place in the vendor's tree where the field may stand, the names that are written inside the
            bytes searched, with dots between; None when the field may come from elsewhere.
    """
    if not needs_field(leaf):
        return None
    if isinstance(leaf, Anywhere):
        return _of_texts([leaf.keyword.test])
    if paths is None:
        return None
    tests = [Text((text,)) for text in leaf.texts] if isinstance(leaf, OneOf) else [leaf.test]
    found = _of_texts(tests)
    if found is not None:
        return found
    names = [_name_in(path) for path in paths]
    return tuple(name for name in names if name) if all(names) else None


def _of_texts(tests: Iterable[object]) -> tuple[str, ...] | None:
    found = []
    for test in tests:
        literal = _in_text(test) if isinstance(test, Text) else _in_regex(test) if isinstance(test, Regex) else None
        if not literal:
            return None
        found.append(literal)
    return tuple(found)


def _in_text(test: Text) -> str | None:
    """The longest literal between the wildcards."""
    runs: list[str] = []
    for piece in pieces_of(test):
        # lower-cased already unless cased; `?` is None and ends a run
        text = piece if isinstance(piece, str) else "".join("\n" if each is None else each for each in piece)
        runs.extend(_VERBATIM.findall(text))
    return _best(run.lower() for run in runs)


def _best(runs: Iterable[str]) -> str | None:
    usable = [run for run in runs if len(run) >= SHORTEST and not _OUTSIDE_STRINGS.issuperset(run)]
    return max(usable, key=len) if usable else None


_SPECIAL = frozenset("^$.|?*+()[]{}")
_MARKS = frozenset(".-_@:#=%&~!,;<> ")
_BEYOND = re.compile(r"\||\(\?|\[|\\[QEpPx0-9]")
"""Alternatives, flags, classes and numeric escapes: patterns with these are not taken apart."""


def _in_regex(test: Regex) -> str | None:
    """The longest run of plain characters outside of groups and repetitions; None when the pattern is not so plain."""
    if _BEYOND.search(test.pattern):
        return None
    runs, depth, characters = [""], 0, iter(test.pattern)
    for char in characters:
        if char == "\\":
            escaped = next(characters, "")
            if escaped in _MARKS and depth == 0:
                runs[-1] += escaped
            else:
                runs.append("")
        elif char not in _SPECIAL:
            runs[-1] += char if depth == 0 else ""
        else:
            depth += (char == "(") - (char == ")")
            if char in {"?", "*", "{"}:
                runs[-1] = runs[-1][:-1]  # what stands before may be absent
            if char == "{":
                next((each for each in characters if each == "}"), "")  # the count is no text
            runs.append("")
    return _best(each.lower() for run in runs for each in _VERBATIM.findall(run))


def _name_in(path: str) -> str | None:
    """The longest name in a path."""
    runs = [run.lower() for part in path.split(".") if not part.isdecimal() for run in _VERBATIM.findall(part)]
    usable = [run for run in runs if len(run) >= SHORTEST]
    return max(usable, key=len) if usable else None
