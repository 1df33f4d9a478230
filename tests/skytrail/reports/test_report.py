"""A report is what was measured, signed; nothing in it can be changed unseen, and nothing from a log becomes markup."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingest.schema.errors import ConfigError
from skytrail.reports.cells import shown
from skytrail.reports.files import DOCUMENT, files_of, read, write
from skytrail.reports.gathering import all_kinds, kind_named
from skytrail.reports.page import bars_of, html, spoken, table
from skytrail.reports.report import Report, Section, Verdict, decode, worst
from skytrail.reports.signing import NOTE, check, origin_of
from storage.ledger.signing import NoteSigner

NOW = dt.datetime(2026, 11, 27, 10, tzinfo=dt.UTC)
SIGNER = NoteSigner(origin_of("logs.example.org"), Ed25519PrivateKey.from_private_bytes(b"7" * 32))
STRANGER = NoteSigner(origin_of("logs.example.org"), Ed25519PrivateKey.from_private_bytes(b"8" * 32))
HOSTILE = "<script>alert(1)</script>"


def report() -> Report:
    people = Section(
        name="people",
        title="Who did what",
        verdict=Verdict.PASS,
        text=f"Counted. {HOSTILE}",
        columns=("who", "times", "note"),
        rows=(("alice", 3, None), (HOSTILE, 12, "=HYPERLINK(1)")),
        chart="times",
    )
    limits = Section(name="limits", title="Limits", text="None.", verdict=Verdict.NOT_MEASURED)
    return Report(
        kind="access",
        title="Access",
        scope="all namespaces",
        start=None,
        end=NOW,
        made_at=NOW,
        made_by="alice",
        product="Skytrail 0",
        sections=(people, limits),
    )


def written() -> dict[str, bytes]:
    return files_of(report(), [SIGNER])


def problems(files: dict[str, bytes]) -> list[str]:
    left = dict(files)
    return check(left.pop(NOTE), left, [SIGNER.key]).problems


def test_a_report_as_it_was_signed_is_genuine() -> None:
    files = written()
    note = files.pop(NOTE)
    found = check(note, files, [STRANGER.key, SIGNER.key])
    assert (found.problems, found.signed_by) == ([], [str(SIGNER.key)])


def test_the_same_evidence_is_the_same_bytes_and_comes_back_equal() -> None:
    assert written() == written()
    assert decode(written()[DOCUMENT]) == report().__class__(**_parts(decode(written()[DOCUMENT])))


def _parts(one: Report) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


@pytest.mark.parametrize("name", [DOCUMENT, "report.html", "report.pdf", "people.csv"])
def test_every_changed_byte_of_every_file_is_found(name: str) -> None:
    files = written()
    for at in range(0, len(files[name]), max(1, len(files[name]) // 50)):
        body = bytearray(files[name])
        body[at] ^= 1
        assert problems({**files, name: bytes(body)}) == [f"{name}: was altered"]


def test_every_changed_byte_of_the_note_is_found() -> None:
    files = written()
    for at in range(len(files[NOTE])):
        body = bytearray(files[NOTE])
        body[at] ^= 1
        assert problems({**files, NOTE: bytes(body)}) != []


def test_files_that_are_missing_or_were_added_are_found() -> None:
    files = written()
    assert problems({name: body for name, body in files.items() if name != "people.csv"}) == ["people.csv: is missing"]
    assert problems({**files, "more.csv": b""}) == ["more.csv: is no part of the report"]


def test_a_stranger_who_signs_anew_is_not_believed() -> None:
    assert problems(files_of(report(), [STRANGER])) == ["no pinned key signed it"]


def test_a_signature_of_another_log_is_none_of_a_report() -> None:
    files = written()
    other = NoteSigner("logs.example.org/acme/1", Ed25519PrivateKey.from_private_bytes(b"7" * 32))
    assert problems({**files, NOTE: files_of(report(), [other])[NOTE]}) == ["no pinned key signed it"]


def test_the_page_prints_the_hash_and_escapes_what_logs_brought() -> None:
    files = written()
    page = files["report.html"].decode()
    assert hashlib.sha256(files[DOCUMENT]).hexdigest() in page
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") >= 2
    assert "default-src 'none'" in page


def test_a_command_in_a_text_stands_as_code_and_what_is_around_or_in_it_is_no_markup() -> None:
    told = spoken(f"run `skytrail topics`, then {HOSTILE} and `{HOSTILE}`; one ` alone")
    assert "run <code>skytrail topics</code>, then &lt;script&gt;" in told
    assert told.count("<code>") == told.count("</code>") == 2
    assert told.endswith("; one ` alone")
    assert "<script>" not in told


def test_tables_hold_no_formulas_for_spreadsheets() -> None:
    assert b"'=HYPERLINK(1)" in table(report().sections[0])


def test_bars_show_the_largest_first() -> None:
    assert [(number, share) for _, number, share in bars_of(report().sections[0])] == [(12, 1.0), (3, 0.25)]
    assert list(bars_of(report().sections[1])) == []


@pytest.mark.parametrize(
    ("verdicts", "comes_to"),
    [
        ([Verdict.PASS, Verdict.FAIL, Verdict.NOT_MEASURED], Verdict.FAIL),
        ([Verdict.PASS, Verdict.NOT_MEASURED], Verdict.NOT_MEASURED),
        ([Verdict.FACTS, Verdict.PASS], Verdict.PASS),
        ([], Verdict.NOT_MEASURED),
    ],
)
def test_the_worst_section_decides(verdicts: list[Verdict], comes_to: Verdict) -> None:
    assert worst(verdicts) is comes_to


def test_a_report_is_written_once_and_read_back(tmp_path: Path) -> None:
    write(tmp_path / "r", written())
    assert read(str(tmp_path / "r")) == written()
    with pytest.raises(ConfigError, match="writing report"):
        write(tmp_path / "r", written())
    with pytest.raises(ConfigError, match=r"there is no report\.note"):
        read(str(tmp_path))


def test_a_directory_beside_the_files_of_a_report_is_no_part_of_it(tmp_path: Path) -> None:
    write(tmp_path / "made", written())
    (tmp_path / "made" / "newer").mkdir()
    assert problems(read(str(tmp_path / "made"))) == ["newer/: is no part of the report"]


def test_the_note_can_be_checked_with_sha256sum(tmp_path: Path) -> None:
    write(tmp_path / "r", written())
    lines = [line for line in written()[NOTE].decode().splitlines() if "  " in line]
    done = subprocess.run(
        ["/usr/bin/sha256sum", "-c", "-"], input="\n".join(lines), text=True, cwd=tmp_path / "r", check=False
    )
    assert done.returncode == 0


def test_kinds_are_found_and_an_unknown_one_names_those_there_are() -> None:
    assert {"access", "alerts", "completeness", "integrity", "retention"} <= set(all_kinds())
    with pytest.raises(ConfigError, match="no kind 'weather'"):
        kind_named("weather")


def test_html_of_a_report_without_rows_says_none() -> None:
    empty = Section(name="x", title="X", text="", columns=("a",))
    one = report()
    page = html(Report(**{**_parts(one), "sections": (empty,)}), "0")  # type: ignore[arg-type]
    assert b"<p>None.</p>" in page


def test_words_stay_whole_on_the_page_and_long_names_are_parted_at_their_marks() -> None:
    topic, digest = "skytrail.raw.aws.cloudtrail.v1", "0f" * 32
    one = Section(name="x", title="X", text="", columns=("a",), rows=((f"responsibility of {topic}",), (digest,)))
    page = html(Report(**{**_parts(report()), "sections": (one,)}), "0").decode()  # type: ignore[arg-type]
    assert "<td>responsibility of skytrail.<wbr>raw.<wbr>aws.<wbr>cloudtrail.<wbr>v1</td>" in page
    assert f'<td><span class="id">{digest}</span></td>' in page
    assert page.count("overflow-wrap: anywhere") == 2  # of ids, and of the head of the report


def test_a_column_of_numbers_stands_at_the_right_with_its_head_though_one_is_missing() -> None:
    rows = ((None, "a", True, 1), (2, 3, False, None))
    one = Section(name="x", title="X", text="", columns=("n", "mixed", "flag", "m"), rows=rows)
    page = html(Report(**{**_parts(report()), "sections": (one,)}), "0").decode()  # type: ignore[arg-type]
    assert "<th class=n>n</th><th>mixed</th><th>flag</th><th class=n>m</th>" in page
    assert "<td class=n></td><td>a</td><td>yes</td><td class=n>1</td>" in page


def test_letters_that_nobody_sees_are_told_on_the_page() -> None:
    one = Section(name="x", title="X", text="\u202etext", columns=("a",), rows=(("user\u200b\nname",),))
    page = html(Report(**{**_parts(report()), "sections": (one,)}), "0").decode()  # type: ignore[arg-type]
    assert "U+202Etext" in page
    assert "userU+200B name" in page
    assert not {"\u202e", "\u200b"} & set(page)


def test_rows_with_the_same_labels_are_one_bar_and_one_without_a_number_has_none() -> None:
    columns = ("place", "because", "records")
    rows = (("hot", "a", 3), ("cold", "a", 4), ("hot", "b", 2), ("gone", "a", 0), ("new", "a", None))
    section = Section(name="kept", title="", text="", columns=columns, rows=rows, chart="records", labels=("place",))
    assert list(bars_of(section)) == [("hot", 5, 1.0), ("cold", 4, 0.8), ("gone", 0, 0.0), ("new", 0, 0.0)]
    assert list(bars_of(Section(name="x", title="", text="", columns=columns, rows=rows[3:], chart="records"))) == []


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("2027-11-29T00:00:00.000000Z", "2027-11-29 00:00:00 UTC"),
        ("2027-11-29T01:02:03Z", "2027-11-29 01:02:03 UTC"),
        ("2027-11-29T01:02:03.120Z", "2027-11-29 01:02:03.120 UTC"),
        ("until 2027-11-29T01:02:03Z", "until 2027-11-29T01:02:03Z"),
        (1234567, "1,234,567"),
        (None, ""),
        (False, "no"),
    ],
)
def test_values_are_told_as_people_write_them(value: object, told: str) -> None:
    assert shown(value) == told
