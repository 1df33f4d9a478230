"""The PDF has everything that the report has, read back by a reader that knows nothing of how it was made."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from skytrail.reports.pdf import laid_out, pdf
from skytrail.reports.report import Report, Section, Verdict
from skytrail.reports.sheet import HEIGHT, MARGIN, ROOM, Box, Words
from skytrail.reports.typesetting import Face, Letters, column_widths, lines

NOW = dt.datetime(2026, 11, 27, 10, tzinfo=dt.UTC)
FACE = Face("Regular", 7, 9)
DIGEST = "0f" * 32


def table(columns: Sequence[str], *rows: tuple[Any, ...], **more: Any) -> Section:
    return Section(name="kept", title="What is kept", text="Counted.", columns=tuple(columns), rows=rows, **more)


def report(*sections: Section) -> Report:
    return Report(
        kind="retention",
        title="Retention",
        scope="all namespaces",
        start=None,
        end=NOW,
        made_at=NOW,
        made_by="Łukasz",
        product="Skytrail 0",
        sections=sections,
    )


def pages(*sections: Section) -> list[str]:
    """The text of each page, as a reader finds it."""
    return [page.extract_text() for page in PdfReader(io.BytesIO(pdf(report(*sections), DIGEST))).pages]


LONG = table(("index", "records"), *((f"index-{number:04d}", number) for number in range(200)), chart="records")


def test_every_row_is_there_and_every_page_has_heads_a_number_and_the_hash() -> None:
    found = pages(LONG)
    whole = " ".join(found)
    assert len(found) > 3
    assert [number for number in range(200) if f"index-{number:04d}" not in whole] == []
    for number, text in enumerate(found, 1):
        assert f"page {number} of {len(found)}" in text
        assert DIGEST in text
        assert "index\nrecords" in text or "index records" in text


def test_the_same_report_is_the_same_bytes() -> None:
    assert pdf(report(LONG), DIGEST) == pdf(report(LONG), DIGEST)
    assert pdf(report(LONG), DIGEST) != pdf(report(LONG), DIGEST[::-1])


def test_sections_can_be_jumped_to_and_the_maker_is_told() -> None:
    reader = PdfReader(io.BytesIO(pdf(report(LONG, table(("a",))), DIGEST)))
    assert [each["/Title"] for each in reader.outline] == ["What is kept", "What is kept"]  # type: ignore[index,call-overload]
    assert reader.metadata is not None
    assert (reader.metadata.title, reader.metadata.author) == ("Retention", "Łukasz")
    assert "None." in reader.pages[-1].extract_text()


def rights(words: list[Words]) -> set[float]:
    return {round(each.x + each.face.width(each.text), 3) for each in words}


def test_numbers_and_their_heads_end_at_one_line_and_texts_begin_at_one() -> None:
    section = table(("index", "records", "since"), ("a", 1, "x"), ("bb", 1_234_567, "y"), ("ccc", None, "z"))
    marks = [mark for page in laid_out(report(section)).pages for mark in page if isinstance(mark, Words)]
    numbers = [mark for mark in marks if mark.text in ("records", "1", "1,234,567")]
    assert (len(numbers), len(rights(numbers))) == (3, 1)
    assert len({mark.x for mark in marks if mark.text in ("index", "a", "bb", "ccc")}) == 1
    assert len({mark.x for mark in marks if mark.text in ("since", "x", "y", "z")}) == 1


def test_letters_beyond_latin_stand_as_they_are_and_what_the_font_lacks_is_listed_with_its_name() -> None:
    found = " ".join(pages(table(("who",), ("Łukasz Ψάρι Жуков",), ("田中 田\u202e",))))
    assert "Łukasz Ψάρι Жуков" in found
    assert "U+7530U+4E2D U+7530U+202E" in found
    assert "U+7530 CJK UNIFIED IDEOGRAPH-7530, 2 times" in found
    assert "Letters that stand as code points" not in " ".join(pages(LONG))


def test_what_logs_brought_is_text_and_no_markup() -> None:
    hostile = "<b>bold</b> &amp; <font color='white'>"
    assert hostile in " ".join(pages(table(("a",), (hostile,))))


def test_a_row_higher_than_a_page_goes_on_over_the_next_and_a_very_long_one_says_what_is_left_out() -> None:
    words = [f"w{number:03d}" for number in range(700)]
    found = pages(table(("text", *"bcdefghij"), (" ".join(words), *["incomprehensibilities"] * 9)))
    assert len(found) > 1
    assert [word for word in words if word not in " ".join(found)] == []
    assert "1,000 more letters are in report.json" in " ".join(" ".join(pages(table(("a",), ("x" * 5000,)))).split())


def test_of_very_many_rows_it_says_how_many_are_elsewhere() -> None:
    many = table(("a",), *((str(number),) for number in range(5002)))
    last = [mark.text for mark in laid_out(report(many)).pages[-1] if isinstance(mark, Words)]
    assert last[-2:] == ["4999", "The first 5,000 of 5,002 rows; all of them are in kept.csv."]


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=80), st.floats(min_value=30, max_value=400))
def test_no_letter_is_lost_between_lines_and_no_line_is_too_wide(text: str, room: float) -> None:
    told = Letters().shown(text)
    found = lines(told, FACE, room)
    assert "".join("".join(found).split()) == "".join(told.split())
    assert all(FACE.width(line) <= room + 0.01 for line in found)


def test_words_stay_whole_and_names_are_parted_at_their_marks() -> None:
    assert lines("responsibility of somebody", FACE, FACE.width("responsibility")) == ["responsibility", "of somebody"]
    name = "skytrail.raw.aws.cloudtrail.v1"
    assert lines(name, FACE, FACE.width("skytrail.raw.aws.clo")) == ["skytrail.raw.aws.", "cloudtrail.v1"]


@given(st.lists(st.lists(st.text(st.characters(max_codepoint=126), max_size=40), min_size=2, max_size=2), min_size=1))
@settings(max_examples=30, deadline=None)
def test_columns_fill_the_room_and_none_is_empty(columns: list[list[str]]) -> None:
    cells = [[(Letters().shown(text), FACE) for text in column] for column in columns]
    widths = column_widths(cells, 700.0)
    assert sum(widths) == pytest.approx(700.0)
    assert min(widths) >= 0


def test_nothing_stands_beyond_the_margins() -> None:
    wide = table([f"column {n}" for n in range(12)], *(tuple("word" * (n % 9) for n in range(12)) for _ in range(60)))
    sheet = laid_out(report(LONG, wide))
    for mark in (mark for page in sheet.pages for mark in page):
        end = mark.x + (mark.width if isinstance(mark, Box) else mark.face.width(mark.text))
        assert MARGIN - 0.01 <= mark.x <= end <= MARGIN + ROOM + 0.01
        assert 0 < mark.y < HEIGHT


def test_the_verdict_of_each_section_stands_beside_its_title() -> None:
    found = pages(table(("a",), ("x",), verdict=Verdict.NOT_MEASURED))[0]
    assert "NOT MEASURED" in found


def test_commands_stand_in_quotation_marks_and_every_section_in_the_summary() -> None:
    told = Section(name="checked", title="What was checked", verdict=Verdict.PASS, text="As `skytrail verify` does.")
    found = " ".join(" ".join(pages(told, table(("a",), ("`x`",)))).split())
    assert "As “skytrail verify” does." in found
    assert "`x`" in found  # what logs brought stands as it came
    assert found.count("What was checked") == 2
    assert "PASS: measured, and as it should be; FACTS: figures that judge nothing" in found


def test_bars_keep_both_ends_of_labels_that_are_too_long() -> None:
    section = table(("index", "records"), ("first" + "x" * 300 + "last", 1), chart="records")
    found = " ".join(pages(section)[0].split())
    assert "firstx" in found
    assert "xlast" in found
    assert "records, per index" in found
