"""Which regular records their format is sure to read and to place in time, so that nobody has to ask it.

Decoding a regular record proves that it is JSON but for what stands in its bodies: numbers beyond a double or with
thousands of digits, and nesting so deep that a format refuses it, are seen here. Doubt is no refusal: it says only that
the format has to be asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from detectors.sigma.compiled.shape import Kind, Names, Shape

_DEEPEST: Final = 150  # levels in a body; formats read at least 200 in a record
_SHORTEST_DEEP: Final = 2 * _DEEPEST  # bytes
_NOT_OPENING: Final = bytes(set(range(256)) - set(b"{["))
_DOUBTFUL_NUMBER: Final = r"(?:^|[:,\[\s])-?[0-9][0-9.]*[eE]|[0-9]{300}"
"""A number with an exponent or very many digits; in a string it does no harm but to be asked about."""


class Assurance:
    """Looks at the bodies of the regular records of a shape."""

    def __init__(self, shape: Shape) -> None:
        self._bodies = attrgetter(*_bodies(shape.names))
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1  # bytes as they are
        self._numbers = re2.Set.SearchSet(options)  # a set of one: it takes a tenth of the time of a pattern's search
        self._numbers.Add(_DOUBTFUL_NUMBER)
        self._numbers.Compile()

    def doubtful(self, decoded: Sequence[Any]) -> list[int]:
        """Places of the records that have to be asked about."""
        texts = list(map(b"\n".join, map(self._bodies, decoded)))
        found = [at for at, text in enumerate(texts) if len(text) > _SHORTEST_DEEP and _openings(text) > _DEEPEST]
        if self._numbers.Match(b"\n".join(texts)):
            found.extend(at for at, text in enumerate(texts) if self._numbers.Match(text))
        return found


def _openings(text: bytes) -> int:
    """Containers that are opened: at least as many as are nested."""
    return len(text.translate(None, _NOT_OPENING))


def _bodies(names: Names, above: str = "") -> Iterator[str]:
    for name, kind in names.items():
        if not isinstance(kind, Kind):
            yield from _bodies(kind, f"{above}{name}.")
        elif kind is Kind.BODY:
            yield above + name
