"""A report as one page of HTML that needs nothing else, and its tables as CSV. Everything from logs is escaped."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from skytrail.reports.cells import head, may_break, meanings, middle_cut, numeric, parts, shown, visible, words
from skytrail.reports.report import Report, Section

_BARS = 20
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_pages = Environment(
    loader=PackageLoader("skytrail.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_COMMAND = re.compile(r"`([^`]+)`")
_CODE = Markup("<code>{}</code>")
_END = Markup("<wbr>")
_ANYWHERE = Markup('<span class="id">{}</span>')


def spoken(text: str) -> Markup:
    """A text, escaped, with what stands between backticks as code."""
    between = _COMMAND.split(visible(text))
    return Markup("").join(_CODE.format(each) if at % 2 else Markup.escape(each) for at, each in enumerate(between))


_pages.filters.update(visible=visible, spoken=spoken, shown=shown, middle_cut=middle_cut)


def html(report: Report, digest: str) -> bytes:
    """The page.

    Args:
        report: It.
        digest: Hex SHA-256 of its JSON, printed on the page.
    """
    bars = {section.name: list(bars_of(section)) for section in report.sections}
    captions = {section.name: caption(section) for section in report.sections if section.chart}
    tables = {
        section.name: (numeric(section), [list(map(_marked, row)) for row in section.rows])
        for section in report.sections
    }
    shared = {"report": report, "digest": digest, "head": list(head(report)), "meanings": meanings(report)}
    page = _pages.get_template("report.html.j2")
    return page.render(**shared, bars=bars, captions=captions, tables=tables).encode()


def _marked(value: Any) -> Markup:
    """A value, escaped, with the places where its long words may be parted; all others stay whole."""
    return Markup("").join(_END.join(map(_part, parts(word))) for word in words(shown(value)))


def _part(text: str) -> Markup:
    return _ANYWHERE.format(text) if may_break(text) else Markup.escape(text)


def bars_of(section: Section) -> Iterator[tuple[str, Any, float]]:
    """(Label, number, share of the largest) of the labels with the largest numbers, at most 20."""
    if not section.chart:
        return
    at = section.columns.index(section.chart)
    beside = [section.columns.index(name) for name in section.labels or section.columns[: min(at, 3)]]
    counts: dict[str, Any] = {}
    for row in section.rows:
        label = " · ".join(shown(row[each]) for each in beside)
        counts[label] = counts.get(label, 0) + (row[at] or 0)
    largest = max(counts.values(), default=0)
    for label, number in sorted(counts.items(), key=lambda each: -each[1])[: _BARS if largest else 0]:
        yield label, number, number / largest


def caption(section: Section) -> str:
    """What the bars of a section show."""
    beside = section.labels or section.columns[: min(section.columns.index(section.chart), 3)]
    more = f", the largest {_BARS}" if len(section.rows) > _BARS else ""
    return f"{section.chart}, per {', '.join(beside)}{more}"


def table(section: Section) -> bytes:
    """A section's table as CSV (RFC 4180); what a spreadsheet would take for a formula is quoted as text."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(section.columns)
    writer.writerows([_cell(cell) for cell in row] for row in section.rows)
    return text.getvalue().encode()


def _cell(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
