"""What commands print: pure data on stdout, nothing that harms a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import sys

import pytest

from ingest.schema.errors import ConfigError, IntegrityError, MalformedBody, Refused, SourceRefused, TransientError
from skytrail.cli.exits import Exit, exit_of
from skytrail.cli.output import Output, emit_object, emit_rows, say, show_every_name, shown
from skytrail.cli.times import moment, stretch

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
HOSTILE = [
    {"id": "1", "agent": "\x1b[31mred\x07", "name": "=HYPERLINK(1)"},
    {"id": "2", "agent": 'a"b,c', "name": None},
]


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert emit_rows(HOSTILE, Output.JSON, columns=("id",)) == 2
    assert json.loads(capsys.readouterr().out) == HOSTILE


def test_jsonl_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    emit_rows(HOSTILE, Output.JSONL, columns=("id",))
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == HOSTILE


def test_a_spreadsheet_never_runs_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    emit_rows(HOSTILE, Output.CSV, columns=("id", "agent", "name"))
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["id", "agent", "name"]
    assert rows[1][2] == "'=HYPERLINK(1)"
    assert rows[2] == ["2", 'a"b,c', ""]


def test_a_table_shows_control_characters_instead_of_obeying_them(capsys: pytest.CaptureFixture[str]) -> None:
    emit_rows(HOSTILE, Output.TABLE, columns=("id", "agent"))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\\x1b[31mred\\x07" in printed


def test_what_is_said_shows_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    say("wrong: \x1b[2Jit holds\r")
    assert capsys.readouterr().err == "wrong: \\x1b[2Jit holds\\x0d\n"


def test_a_table_never_truncates(capsys: pytest.CaptureFixture[str]) -> None:
    arn = "arn:aws:iam::111122223333:role/" + "x" * 300
    emit_rows([{"arn": arn}], Output.TABLE, columns=("arn",))
    assert "".join(line.strip(" │") for line in capsys.readouterr().out.splitlines()[2:]) == arn


def test_an_object_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    emit_object({"count": 3}, Output.JSON)
    assert json.loads(capsys.readouterr().out) == {"count": 3}


def test_right_to_left_marks_are_shown() -> None:
    assert shown("a\u202eb") == "a\\x202eb"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), Exit.CONFIG),
        (TransientError("x"), Exit.CONFIG),
        (SourceRefused("listing files: there is no such file"), Exit.CONFIG),
        (SourceRefused("reading file: permission denied"), Exit.DENIED),
        (SourceRefused("calling s3 get_object: AccessDenied: Access Denied"), Exit.DENIED),
        (SourceRefused("calling kinesis get_records: AccessDeniedException: is not authorized"), Exit.DENIED),
        (SourceRefused("calling sqs receive_message: QueueDoesNotExist"), Exit.CONFIG),
        (Refused("x"), Exit.DENIED),
        (MalformedBody("x"), Exit.BAD_INPUT),
        (IntegrityError("x"), Exit.FINDINGS),
    ],
)
def test_an_error_ends_with_the_code_of_its_branch(error: Exception, code: Exit) -> None:
    assert exit_of(error) == code  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", NOW - dt.timedelta(hours=24)),
        ("7d", NOW - dt.timedelta(days=7)),
        ("now", NOW),
        ("2026-11-22", dt.datetime(2026, 11, 22, tzinfo=dt.UTC)),
        ("2026-11-22T10:00:00+02:00", dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)),
    ],
)
def test_a_time_is_a_date_or_an_age(text: str, expected: dt.datetime) -> None:
    assert moment(text, NOW) == expected


def test_no_time_is_refused() -> None:
    with pytest.raises(ConfigError, match="ISO 8601"):
        moment("yesterday", NOW)


@pytest.mark.parametrize("age", ["99999999999d", "9999999999999999999999s"])
def test_an_age_before_all_times_is_refused(age: str) -> None:
    with pytest.raises(ConfigError, match="before all times"):
        moment(age, NOW)


@pytest.mark.parametrize(("start", "end"), [("2026-03-05", "2026-03-01"), ("1h", "2h"), ("now", "now")])
def test_times_with_nothing_between_them_are_refused(start: str, end: str) -> None:
    with pytest.raises(ConfigError, match="no time lies between"):
        stretch(start, end, NOW)


def test_a_time_may_be_open_at_either_end() -> None:
    assert stretch("2h", "1h", NOW) == (NOW - dt.timedelta(hours=2), NOW - dt.timedelta(hours=1))
    assert stretch("2h", None, NOW) == (NOW - dt.timedelta(hours=2), None)
    assert stretch(None, "2h", NOW) == (None, NOW - dt.timedelta(hours=2))


@pytest.mark.parametrize("output", list(Output))
def test_a_name_that_utf_8_has_no_form_for_is_shown(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a file may be any bytes, a text of JSON may have half of a character."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="utf-8", errors="strict"))
    show_every_name()
    emit_rows([{"key": "a/\udcff.gz"}], output, columns=("key",))
    sys.stdout.flush()
    text = written.getvalue().decode()
    assert "a/\\udcff.gz" in text
    if output is Output.JSON:
        assert json.loads(text) == [{"key": "a/\udcff.gz"}]
