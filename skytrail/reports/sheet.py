"""Pages of a PDF: what stands where is laid out first, as values, and drawn when their number is known."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass, field

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfgen.canvas import Canvas

from skytrail.reports.typesetting import Face

WIDTH, HEIGHT = landscape(A4)
MARGIN = 40.0
ROOM = WIDTH - 2 * MARGIN
"""Points from the left margin to the right one."""
_FOOT = 58.0
FULL = HEIGHT - MARGIN - _FOOT
"""Points from the top of a page down to its foot."""
_GREY = "#555555"
BLACK = "#000000"


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text; y is that of its baseline, from the bottom of the page."""

    x: float
    y: float
    text: str
    face: Face
    colour: str = BLACK


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle from its lower left corner."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(slots=True)
class Sheet:
    """The pages so far, and how far down the last one is filled.

    Attributes:
        pages: What stands on each.
        y: Where the next thing begins, from the bottom of the page.
        chapters: Titles, and the number of the page (from 0) on which they stand.
    """

    pages: list[list[Words | Box]] = field(default_factory=lambda: [[]])
    y: float = HEIGHT - MARGIN
    chapters: list[tuple[str, int]] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Points down to the foot of the page."""
        return self.y - _FOOT

    @property
    def is_fresh(self) -> bool:
        """Whether nothing stands on the page yet."""
        return not self.pages[-1]

    def turn(self) -> None:
        """Begin a new page."""
        self.pages.append([])
        self.y = HEIGHT - MARGIN

    def need(self, height: float) -> None:
        """Begin a new page unless there is so much room on this one."""
        if self.left < height and not self.is_fresh:
            self.turn()

    def line(self, text: str, face: Face, *, x: float = MARGIN, colour: str = BLACK) -> None:
        """Put a line of text, and go below it."""
        self.need(face.leading)
        self.words(text, face, x, self.y - face.size, colour)
        self.y -= face.leading

    def words(self, text: str, face: Face, x: float, y: float, colour: str = BLACK) -> None:
        """Put a text anywhere on the page."""
        if text:
            self.pages[-1].append(Words(x, y, text, face, colour))

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Put a rectangle anywhere on the page."""
        self.pages[-1].append(Box(x, y, width, height, colour))

    def chapter(self, title: str) -> None:
        """Let readers of the PDF jump to this page."""
        self.chapters.append((title, len(self.pages) - 1))


def drawn(sheet: Sheet, title: str, author: str, creator: str, foot: str, face: Face) -> bytes:
    """The PDF. The same sheet gives the same bytes: it has no time of making and no random id.

    Args:
        sheet: Its pages.
        title: Of the document.
        author: Who asked for it.
        creator: What made it.
        foot: Stands at the foot of every page, with its number.
        face: Of that.
    """
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(WIDTH, HEIGHT), invariant=1, pageCompression=1, lang="en")
    canvas.setTitle(title)
    canvas.setAuthor(author)
    canvas.setCreator(creator)
    for number, page in enumerate(sheet.pages):
        for chapter, (name, at) in enumerate(sheet.chapters):
            if at == number:
                canvas.bookmarkPage(f"chapter-{chapter}")
                canvas.addOutlineEntry(name, f"chapter-{chapter}")
        counted = f"page {number + 1} of {len(sheet.pages)}"
        below = [
            Words(MARGIN, _FOOT - 26, foot, face, _GREY),
            Words(WIDTH - MARGIN - face.width(counted), _FOOT - 26, counted, face, _GREY),
        ]
        for mark in (*page, *below):
            _draw(canvas, mark)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


@functools.cache
def _colour(name: str) -> Color:
    return HexColor(name)


def _draw(canvas: Canvas, mark: Words | Box) -> None:
    canvas.setFillColor(_colour(mark.colour))
    if isinstance(mark, Box):
        canvas.rect(mark.x, mark.y, mark.width, mark.height, stroke=0, fill=1)
    else:
        canvas.setFont(mark.face.name, mark.face.size)
        canvas.drawString(mark.x, mark.y, mark.text)
