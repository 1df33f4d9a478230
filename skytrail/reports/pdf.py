"""A report as PDF: the same sections, tables and bars as the page. The same report gives the same bytes.

Nothing is markup: whatever logs brought is drawn as text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from skytrail.reports.cells import head, meanings, middle_cut, numeric, quoted, shown
from skytrail.reports.page import bars_of, caption
from skytrail.reports.report import Report, Section, Verdict
from skytrail.reports.sheet import FULL, MARGIN, ROOM, Sheet, drawn
from skytrail.reports.typesetting import Face, Letters, column_widths, lines

SHOWN_ROWS = 5000
SHOWN_CHARACTERS = 4000
_LISTED_LETTERS = 200
_TITLE, _HEAD = Face("Bold", 18, 25), Face("Bold", 12, 17)
_TEXT, _STRONG = Face("Regular", 9, 12.5), Face("Bold", 9, 12.5)
_CELL, _COLUMN = Face("Regular", 7, 9.2), Face("Bold", 7, 9.2)
_COLOURS = {Verdict.PASS: "#17803d", Verdict.FAIL: "#c0262d", Verdict.NOT_MEASURED: "#a15c00", Verdict.FACTS: "#666666"}
_SHADE, _RULE, _BAR = "#e8ecf1", "#c4c9d0", "#3b76c4"
_VERDICTS = 100.0  # room for a verdict before the title of its section
_GAP = 4.0  # between a column and its neighbour, on each side
_ABOVE, _BELOW = 2.0, 3.0  # within a row of a table
_LABELS, _NUMBERS, _STEP = 250.0, 80.0, 14.0  # of bars: room for labels and numbers, height of each


def pdf(report: Report, digest: str) -> bytes:
    """The document.

    Args:
        report: It.
        digest: Hex SHA-256 of its JSON, printed on every page.
    """
    sheet = laid_out(report)
    foot = f"SHA-256 of report.json: {digest}"
    return drawn(sheet, report.title, report.made_by, report.product, foot, _CELL)


def laid_out(report: Report) -> Sheet:
    """What stands on which page."""
    sheet, letters = Sheet(), Letters()
    sheet.line(letters.shown(report.title), _TITLE)
    sheet.line(report.verdict.value, _STRONG, colour=_COLOURS[report.verdict])
    sheet.y -= 4
    for name, value in (
        *head(report),
        ("Signature", "report.note; check it with: skytrail report verify DIRECTORY --key VKEY"),
        ("Verdicts", meanings(report)),
    ):
        top = sheet.y
        sheet.line(name, _STRONG)
        sheet.y = top
        _paragraph(sheet, letters.shown(value), MARGIN + 60)
    _summary(sheet, report.sections, letters)
    for section in report.sections:
        _section(sheet, section, letters)
    _replaced(sheet, letters)
    return sheet


def _summary(sheet: Sheet, sections: Sequence[Section], letters: Letters) -> None:
    """Which sections there are, and what each comes to."""
    if len(sections) > 1:
        sheet.y -= 8
    for section in sections if len(sections) > 1 else ():
        sheet.need(_TEXT.leading)
        sheet.words(section.verdict.value, _STRONG, MARGIN, sheet.y - _STRONG.size, _COLOURS[section.verdict])
        _paragraph(sheet, letters.shown(section.title), MARGIN + _VERDICTS)


def _section(sheet: Sheet, section: Section, letters: Letters) -> None:
    _heading(sheet, letters.shown(section.title), section.verdict)
    _paragraph(sheet, letters.shown(quoted(section.text)))
    sheet.y -= 3
    if bars := list(bars_of(section)):
        _paragraph(sheet, letters.shown(caption(section)), face=_CELL)
        _bars(sheet, bars, letters)
    if section.columns and not section.rows:
        _paragraph(sheet, "None.")
    elif section.columns:
        _table(sheet, section, letters)


def _heading(sheet: Sheet, title: str, verdict: Verdict | None = None) -> None:
    sheet.y -= 12
    sheet.need(_HEAD.leading + 5 * _TEXT.leading)  # a title is not left alone at the foot of a page
    sheet.chapter(title)
    if verdict is not None:
        x, colour = MARGIN + _HEAD.width(title) + 10, _COLOURS[verdict]
        sheet.words(verdict.value, _STRONG, x, sheet.y - _HEAD.size, colour)
    sheet.line(title, _HEAD)


def _paragraph(sheet: Sheet, text: str, x: float = MARGIN, face: Face = _TEXT) -> None:
    for line in lines(text, face, ROOM - (x - MARGIN)):
        sheet.line(line, face, x=x)


def _bars(sheet: Sheet, bars: Sequence[tuple[str, Any, float]], letters: Letters) -> None:
    for label, number, share in bars:
        sheet.need(_STEP)
        bottom, length = sheet.y - _STEP, max(share * (ROOM - _LABELS - _NUMBERS), 1)
        told = letters.shown(middle_cut(label, 200))
        while _CELL.width(told) > _LABELS - 10:
            told = middle_cut(told, len(told) - 1)
        sheet.words(told, _CELL, MARGIN + _LABELS - 6 - _CELL.width(told), bottom + 4)
        sheet.box(MARGIN + _LABELS, bottom + 2, length, _STEP - 4, _BAR)
        sheet.words(shown(number), _CELL, MARGIN + _LABELS + length + 4, bottom + 4)
        sheet.y = bottom
    sheet.y -= 6


class _Columns:
    """The columns of a table: where they stand, and rows put into them."""

    def __init__(
        self, sheet: Sheet, heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool]
    ) -> None:
        cells = [[(head, _COLUMN), *((row[at], _CELL) for row in rows)] for at, head in enumerate(heads)]
        self._sheet = sheet
        self._numbers = numbers
        self._widths = column_widths(cells, ROOM - 2 * _GAP * len(heads))
        self._head = self.lines(heads, _COLUMN)

    def lines(self, cells: Sequence[str], face: Face) -> list[list[str]]:
        """A row in lines, per column."""
        return [lines(cell, face, width) for cell, width in zip(cells, self._widths, strict=True)]

    def head(self) -> None:
        """Put the heads of the columns; they stand on every page."""
        height = _height(self._head, _COLUMN)
        self._sheet.box(MARGIN, self._sheet.y - height, ROOM, height, _SHADE)
        self._put(self._head, _COLUMN)

    def row(self, cells: Sequence[str]) -> None:
        """Put a row; one that is higher than a page begins where it is and goes on over the next ones."""
        rest = self.lines(cells, _CELL)
        if self._sheet.left < _height(rest, _CELL) <= self.fresh:
            self._turn()
        while any(rest):
            room = max(int((self._sheet.left - _ABOVE - _BELOW) // _CELL.leading), 1)
            self._put([each[:room] for each in rest], _CELL)
            rest = [each[room:] for each in rest]
            if any(rest):
                self._turn()

    @property
    def fresh(self) -> float:
        """Points below the heads of a new page."""
        return FULL - _height(self._head, _COLUMN)

    def start(self, first: Sequence[str]) -> None:
        """Put the heads where there is room for them and the first row."""
        above = _height(self._head, _COLUMN)
        self._sheet.need(above + min(_height(self.lines(first, _CELL), _CELL), self.fresh))
        self.head()

    def _turn(self) -> None:
        self._sheet.turn()
        self.head()

    def _put(self, row: Sequence[Sequence[str]], face: Face) -> None:
        sheet, x = self._sheet, MARGIN
        for column, width, is_number in zip(row, self._widths, self._numbers, strict=True):
            for at, line in enumerate(column):
                shift = width - face.width(line) if is_number else 0.0
                sheet.words(line, face, x + _GAP + shift, sheet.y - _ABOVE - face.size - at * face.leading)
            x += width + 2 * _GAP
        sheet.y -= _height(row, face)
        sheet.box(MARGIN, sheet.y, ROOM, 0.4, _RULE)


def _table(sheet: Sheet, section: Section, letters: Letters) -> None:
    rows = [[_cut(letters.shown(shown(value))) for value in row] for row in section.rows[:SHOWN_ROWS]]
    columns = _Columns(sheet, [letters.shown(each) for each in section.columns], rows, numeric(section))
    columns.start(rows[0])
    for row in rows:
        columns.row(row)
    sheet.y -= 4
    if len(section.rows) > len(rows):
        told = f"The first {len(rows):,} of {len(section.rows):,} rows; all of them are in {section.name}.csv."
        _paragraph(sheet, told)


def _cut(text: str) -> str:
    more = len(text) - SHOWN_CHARACTERS
    return f"{text[:SHOWN_CHARACTERS]} [{more:,} more letters are in report.json]" if more > 0 else text


def _replaced(sheet: Sheet, letters: Letters) -> None:
    """Which letters the reader did not get to see."""
    if not letters.replaced:
        return
    _heading(sheet, "Letters that stand as code points")
    told = (
        "The font of this document lacks these letters. report.json, report.html and the tables have them as they are."
    )
    _paragraph(sheet, told)
    for letter, count in sorted(letters.replaced.items())[:_LISTED_LETTERS]:
        _paragraph(sheet, f"U+{ord(letter):04X} {unicodedata.name(letter, 'without a name')}, {count:,} times")
    if (more := len(letters.replaced) - _LISTED_LETTERS) > 0:
        _paragraph(sheet, f"and {more:,} others")


def _height(row: Sequence[Sequence[str]], face: Face) -> float:
    return max(map(len, row)) * face.leading + _ABOVE + _BELOW
