"""Each record is told from its content alone, whatever stands beside it, and at a bounded cost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.recognition import formats_of, of_source, recognise
from ingest.formats.registry import all_formats, format_named
from ingest.parsing.json_slices import is_json
from ingest.schema.errors import ConfigError
from ingest.unpacking import Unpacked, unpack
from tests.ingest.formats.conformity import Golden

LIMIT = 100_000_000
GOLDEN = {name: Golden(format_) for name, format_ in all_formats().items()}
CASES = [(name, case) for name, golden in GOLDEN.items() for case in golden.cases()]
every_case = pytest.mark.parametrize(("name", "case"), CASES)

KNOWN = [
    (name, record)
    for name, case in CASES
    for record in GOLDEN[name].records(case)
    if is_json(record) and formats_of(record) == [name] and not format_named(name).own
]
"""Records that tell their format, with its name, and that a source may bring."""
OWN = [record for name, golden in GOLDEN.items() if golden.format.own for record in golden.records(golden.cases()[0])]


def formats_in(found: Unpacked) -> list[str | None]:
    """The format of each record."""
    names = [run.format.name if run.format else None for run in found.runs for _ in range(run.start, run.end)]
    assert len(names) == len(found.records)
    assert [run.start for run in found.runs] == [0, *[run.end for run in found.runs[:-1]]][: len(found.runs)]
    return names


@every_case
def test_a_body_without_a_named_format_gives_the_same_records(name: str, case: str) -> None:
    golden = GOLDEN[name]
    body = golden.body(case)
    found = unpack(body, None, LIMIT)
    if found.fault is not None:
        pytest.fail(str(found.fault))
    assert found.records == golden.records(case)
    assert set(formats_in(found)) <= {name, None}


@every_case
def test_marks_hide_no_record_from_its_format(name: str, case: str) -> None:
    for record in GOLDEN[name].records(case):
        assert formats_of(record) == [known for known, format_ in all_formats().items() if format_.claims(record)]


def test_most_golden_records_tell_their_format() -> None:
    assert {name for name, _ in KNOWN} == {name for name, format_ in all_formats().items() if not format_.own}
    untold = [(name, case) for name, case in CASES if not any(map(formats_of, GOLDEN[name].records(case)))]
    assert len(untold) < len(CASES) / 20, untold


def test_golden_records_of_all_formats_in_one_body_go_to_their_own() -> None:
    body = b'{"records":[' + b",".join(record for _, record in KNOWN) + b"]}"
    found = unpack(body, None, LIMIT)
    assert found.records == [record for _, record in KNOWN]
    assert formats_in(found) == [name for name, _ in KNOWN]


def test_no_source_brings_records_of_what_skytrail_did_itself() -> None:
    (record,) = OWN
    found = unpack(b"[" + record + b"," + KNOWN[0][1] + b"]", None, LIMIT)
    assert formats_in(found) == [None, KNOWN[0][0]]
    assert found.runs[0].why == "it looks like skytrail.audit, which no source may bring"
    with pytest.raises(ConfigError, match="no source may bring it"):
        of_source("skytrail.audit")


@given(st.lists(st.integers(0, len(KNOWN) - 1), min_size=1, max_size=12))
def test_neighbours_and_order_change_nothing(places: list[int]) -> None:
    found = unpack(b"[" + b",".join(KNOWN[place][1] for place in places) + b"]", None, LIMIT)
    assert formats_in(found) == [KNOWN[place][0] for place in places]


_PIECES = b"""{ } [ ] , "records": "Records": "message": 1 "x" ~""".split()


def _lists_nothing(text: str) -> bool:
    """Whether a body is blank, or says in so many words that it holds no records: empty arrays, wrappers of them."""
    while text := text.strip():
        value, end = json.JSONDecoder().raw_decode(text)
        if value != [] and [] not in (value.get("records"), value.get("Records")):
            return False
        text = text[end:]
    return True


@given(st.binary(max_size=300) | st.lists(st.sampled_from(_PIECES), max_size=30).map(b"".join))
def test_any_bytes_are_records_or_a_fault(body: bytes) -> None:
    found = unpack(body, None, LIMIT)
    formats_in(found)
    assert found.fault is not None or found.records or _lists_nothing(body.removeprefix(b"\xef\xbb\xbf").decode())


@pytest.mark.parametrize("record", [b"{}", b"[]", b'{"message":1}', b'"text"', b"17", b'{"records":null}'])
def test_what_nobody_knows_is_a_record_without_a_format(record: bytes) -> None:
    known = KNOWN[0][1]
    found = unpack(b"[" + record + b"," + known + b"]", None, LIMIT)
    assert formats_in(found) == [None, KNOWN[0][0]]
    assert found.runs[0].why == "no format recognises it"


def test_a_body_of_lines_that_nobody_knows_is_a_fault_that_says_so() -> None:
    found = unpack(b"Nov 27 07:00:00 host sshd[1]: hello\n", None, LIMIT)
    assert not found.records
    assert "no format recognises it" in str(found.fault)


def test_a_later_part_of_an_object_has_the_format_of_its_beginning() -> None:
    line = b"1.2.3.4 5.6.7.8 1795334519\n"
    assert unpack(line, None, LIMIT).fault is not None
    found = unpack(line, None, LIMIT, before="aws.vpcflow")
    assert [run.format for run in found.runs] == [format_named("aws.vpcflow")]


def test_recognising_reads_no_more_than_the_beginning_of_a_body() -> None:
    (name, record), size = KNOWN[0], 64 * 1024
    body = record.replace(b"\n", b" ") + b"\n"
    assert recognise(body * (size // len(body) + 1) + b"\xff" * 1_000_000) == [name]


def test_a_record_that_two_formats_claim_belongs_to_neither() -> None:
    """None is known to exist; this one holds the members of an event of each."""
    both = json.dumps({**json.loads(_first("kubernetes.audit")), **json.loads(_first("aws.cloudtrail"))}).encode()
    found = unpack(both, None, LIMIT)
    assert formats_in(found) == [None]
    assert found.runs[0].why == "it looks like aws.cloudtrail and like kubernetes.audit"


def _first(wanted: str) -> bytes:
    return next(record for name, record in KNOWN if name == wanted)


@pytest.mark.parametrize(
    ("record", "known"),
    [
        (b'{"kind":"Event","verb":"create","objectRef":{"resource":"pods"}}', ["kubernetes.audit"]),
        (b'{"kind":"Event","apiVersion":"v1","involvedObject":{"kind":"Pod"},"reason":"Killing"}', []),
        (b'{"verb":"create","objectRef":{"resource":"pods"}}', []),
    ],
)
def test_an_audit_event_that_was_cut_down_is_told_from_events_of_the_cluster(record: bytes, known: list[str]) -> None:
    assert formats_of(record) == known
