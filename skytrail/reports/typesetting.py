"""Text in lines of a given width, in the fonts of the PDF, and the widths of the columns of a table.

Open Sans has the letters of Latin, Greek and Cyrillic. Every other letter is told by its code point and kept in a list,
so that a reader knows what stood there.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from ttf_opensans import OPENSANS_BOLD, OPENSANS_REGULAR

from skytrail.reports.cells import may_break, parts, visible, words

_FILES = {"Regular": OPENSANS_REGULAR, "Bold": OPENSANS_BOLD}
_THOUSAND = 1000.0  # widths of letters are told in thousandths of the size
_WIDEST = 700.0  # what a column asks for at most, points
_LEAST = 120.0  # and what it must have at most: a longer word is parted


@dataclass(frozen=True)
class Face:
    """A font in a size; both in points.

    Attributes:
        weight: `Regular` or `Bold`.
        leading: From line to line.
    """

    weight: str
    size: float
    leading: float
    _known: dict[str, float] = field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        """As the PDF knows it."""
        return _font(self.weight).fontName

    def width(self, text: str) -> float:
        """Points from its first letter to its end."""
        if (known := self._known.get(text)) is None:
            known = self._known[text] = _width(text, _letters(self.weight)) * self.size
        return known


class Letters:
    """Texts in letters that the fonts have.

    Attributes:
        replaced: Letters that stand as code points, and how often.
    """

    def __init__(self) -> None:
        self.replaced: Counter[str] = Counter()
        self._known = _letters("Regular").keys() & _letters("Bold").keys()

    def shown(self, text: str) -> str:
        """The text, with `U+7530` and the like for what the fonts lack."""
        told = visible(text)
        if told.isascii() or all(ord(each) in self._known for each in told):
            return told
        return "".join(map(self._letter, told))

    def _letter(self, letter: str) -> str:
        if ord(letter) in self._known:
            return letter
        self.replaced[letter] += 1
        return f"U+{ord(letter):04X}"


def lines(text: str, face: Face, room: float) -> list[str]:
    """The text in lines no wider than `room`: words whole where they fit, long ones parted at their marks."""
    found: list[str] = []
    line, width, gap = "", 0.0, ""
    for word in words(text):
        if word.isspace():
            gap = " " if line else ""
            continue
        for part in parts(word):
            own, before = face.width(part), face.width(gap)
            if line and width + before + own > room:
                found.append(line)
                line, width, gap, before = "", 0.0, "", 0.0
            *full, rest = _split(part, face, room) if own > room else [part]
            found.extend(full)
            line, width, gap = line + gap + rest, width + before + (face.width(rest) if full else own), ""
    return [*found, line] if line or not found else found


def _split(part: str, face: Face, room: float) -> list[str]:
    """A part that is wider than the room, anywhere."""
    found, line, width = [], "", 0.0
    for letter in part:
        own = face.width(letter)
        if line and width + own > room:
            found.append(line)
            line, width = "", 0.0
        line, width = line + letter, width + own
    return [*found, line]


def column_widths(columns: Sequence[Sequence[tuple[str, Face]]], room: float) -> list[float]:
    """Room for each column: enough for its longest word, and more for those with longer texts.

    Args:
        columns: The cells of each, its head among them.
        room: For all of them together, points.
    """
    least = [min(max(_longest(text, face) for text, face in cells), _LEAST) for cells in columns]
    wanted = [min(max(face.width(text) for text, face in cells), _WIDEST) for cells in columns]
    if sum(least) >= room:
        return [each * room / sum(least) for each in least]
    more = [max(want - must, 0.0) + 1.0 for want, must in zip(wanted, least, strict=True)]
    return [must + (room - sum(least)) * each / sum(more) for must, each in zip(least, more, strict=True)]


def _longest(text: str, face: Face) -> float:
    """Of the parts that must stay whole."""
    found = (part for word in words(text) for part in parts(word) if not may_break(part))
    return max(map(face.width, found), default=0.0)


@functools.cache
def _font(weight: str) -> TTFont:
    font = TTFont(f"OpenSans-{weight}", str(_FILES[weight].path))
    pdfmetrics.registerFont(font)
    return font


@functools.cache
def _letters(weight: str) -> Mapping[int, float]:
    """The width of each letter that the font has, in thousandths of the size."""
    face = _font(weight).face
    return {code: face.charWidths[code] for code in face.charToGlyph if code in face.charWidths}


def _width(text: str, known: Mapping[int, float]) -> float:
    return sum(known[ord(letter)] for letter in text) / _THOUSAND
