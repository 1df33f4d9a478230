"""Layouts, contexts, refusals and what rules see."""

import gzip
import json
from collections import Counter

import pytest

from ingest.formats.aws_vpcflow.format import FORMAT
from ingest.formats.aws_vpcflow.layouts import FIELDS, header_of, layout_of
from ingest.schema.errors import MalformedBody, MalformedRecord
from ingest.unpacking import unpack
from tests.ingest.formats.conformity import SHARED, Golden, get, other_cases

GOLDEN = Golden(FORMAT)
DEFAULT = " ".join(FIELDS[:14]).encode()
LINE = b"2 111122223333 eni-0a1b2c3d 203.0.113.77 10.20.1.15 51934 22 6 14 2310 1795334460 1795334519 REJECT OK"
VALUES = LINE.decode().split()


def test_the_default_format_has_the_fourteen_fields_of_version_2_and_the_last_one_is_of_version_10() -> None:
    assert FIELDS[:4] == ("version", "account-id", "interface-id", "srcaddr")
    assert FIELDS[13] == "log-status"
    assert (len(FIELDS), FIELDS[-1]) == (42, "encryption-status")


@pytest.mark.parametrize("count", [14, 21, 25, 29, 39, 40, 41, 42])
def test_a_line_without_names_is_read_when_it_has_all_fields_up_to_a_version(count: int) -> None:
    assert layout_of([*VALUES, *["-"] * (count - 14)]) == FIELDS[:count]


@pytest.mark.parametrize("count", [1, 13, 15, 20, 22, 28, 30, 38, 43])
def test_any_other_number_of_fields_is_not_guessed(count: int) -> None:
    values = [*VALUES, *["-"] * 30][:count]
    assert layout_of(values) is None
    with pytest.raises(MalformedRecord, match=f"nobody named its {count} fields"):
        FORMAT.normalise(" ".join(values).encode())


@pytest.mark.parametrize("place", range(14))
def test_a_value_that_can_not_stand_there_makes_a_line_unreadable(place: int) -> None:
    values = [*VALUES]
    values[place] = "what?"
    assert layout_of(values) is None


@pytest.mark.parametrize(
    ("line", "is_header"),
    [
        (DEFAULT, True),
        (b"srcaddr dstaddr", True),
        (b"srcaddr dstaddr a-new-field", True),
        (b"action", True),
        (LINE, False),
        (b"srcaddr srcaddr", False),
        (b"srcaddr a-new-field another-one", False),
        (b"this is prose", False),
        (b"", False),
        (b"srcaddr " * 2000, False),
        ("srcaddr dstäddr".encode(), False),
    ],
)
def test_a_line_of_names_is_told_from_values(line: bytes, *, is_header: bool) -> None:
    assert (header_of(line) is not None) is is_header


def test_the_line_of_names_is_no_record_but_the_context_of_all() -> None:
    body = b"srcaddr dstaddr end action\n1.2.3.4 5.6.7.8 1795334519 ACCEPT\n"
    assert list(FORMAT.split(body)) == [b"1.2.3.4 5.6.7.8 1795334519 ACCEPT"]
    context = FORMAT.context(body)
    assert context == (("fields", "srcaddr dstaddr end action"),)
    document = FORMAT.within(context).normalise(b"1.2.3.4 5.6.7.8 1795334519 ACCEPT")
    assert get(document, "destination.ip") == "5.6.7.8"
    with pytest.raises(MalformedRecord, match="nobody named its 4 fields"):
        FORMAT.normalise(b"1.2.3.4 5.6.7.8 1795334519 ACCEPT")


def test_unpacking_a_compressed_file_gives_lines_and_context() -> None:
    unpacked = unpack(gzip.compress(DEFAULT + b"\r\n" + LINE + b"\r\n\r\n" + LINE + b"\n"), FORMAT, 10_000)
    assert unpacked.records == [LINE, LINE]
    assert [run.context for run in unpacked.runs] == [(("fields", DEFAULT.decode()),)]
    assert unpacked.fault is None


def test_files_joined_behind_each_other_are_read_when_they_name_the_same_fields() -> None:
    assert list(FORMAT.split(DEFAULT + b"\n" + LINE + b"\n" + DEFAULT + b"\n" + LINE)) == [LINE, LINE]


def test_a_second_line_with_other_names_is_refused_behind_the_records_before_it() -> None:
    records = FORMAT.split(DEFAULT + b"\n" + LINE + b"\nsrcaddr dstaddr\n1.2.3.4 5.6.7.8\n")
    assert next(records) == LINE
    with pytest.raises(MalformedBody, match="second line of names"):
        next(records)


@pytest.mark.parametrize("extra", [b"", b" - -"])
def test_a_line_with_more_or_fewer_values_than_names_is_refused(extra: bytes) -> None:
    reader = FORMAT.within((("fields", "srcaddr dstaddr end"),))
    with pytest.raises(MalformedRecord, match="values for 3 named fields"):
        reader.normalise(b"1.2.3.4 5.6.7.8" + extra)


def test_a_record_without_any_time_is_refused() -> None:
    with pytest.raises(MalformedRecord, match="no readable time"):
        FORMAT.within((("fields", "srcaddr dstaddr"),)).normalise(b"1.2.3.4 5.6.7.8")


def test_rules_see_numbers_as_numbers_and_nothing_that_is_absent() -> None:
    vendor = FORMAT.view(LINE).vendor
    assert (vendor["dstport"], vendor["protocol"], vendor["action"]) == (22, 6, "REJECT")
    skipped = FORMAT.view(GOLDEN.records("records_missing_at_the_source")[0]).vendor
    assert "srcaddr" not in skipped


@pytest.mark.parametrize("name", ["srcAddr", "pktSrcAddr", "pkt_srcaddr", "logStatus", "ecs_task_arn", "flowDirection"])
def test_other_spellings_of_fields_lead_to_awss(name: str) -> None:
    assert FORMAT.aliases[name] in FIELDS


def test_the_same_flow_through_a_log_group_gives_the_same_fields() -> None:
    through = GOLDEN.all_expected("subscription_of_a_log_group")[0]
    direct = FORMAT.normalise(
        json.loads(GOLDEN.body("subscription_of_a_log_group"))["logEvents"][0]["message"].encode()
    )
    for part in ("@timestamp", "source", "destination", "network", "cloud", "related"):
        assert through[part] == direct[part]


def test_identical_lines_of_one_file_are_two_records() -> None:
    assert FORMAT.identify(LINE) is None


@pytest.mark.parametrize(
    "body",
    [
        b"2 111122223333 eni-0a1b2c3d 203.0.113.77 10.20.1.15\n",
        b"hello world\n",
        b'{"logEvents": [{"id": "1", "timestamp": 1, "message": "START RequestId: 5"}]}',
        b'{"srcaddr": "1.2.3.4"}',
        b"version resource-type account-id tgw-id tgw-attachment-id\n",
        b"",
    ],
)
def test_other_bodies_are_not_recognised(body: bytes) -> None:
    assert not FORMAT.recognise(body)


def test_a_sample_cut_inside_a_line_is_recognised() -> None:
    assert FORMAT.recognise(DEFAULT + b"\n" + LINE[:50])
    assert FORMAT.recognise(LINE + b"\n" + LINE[:50])


def test_a_control_message_is_told_as_such_and_shown_to_no_rule() -> None:
    message = "CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."
    record = json.dumps({"id": "", "timestamp": 1795334460000, "message": message}).encode()
    assert FORMAT.normalise(record)["event"]["action"] == "ControlMessage"
    assert not FORMAT.view(record).final
    assert FORMAT.identify(record) is None
    assert not FORMAT.recognise(record)


@pytest.mark.skipif(not SHARED.exists(), reason="the public sample data is not beside this repository")
def test_public_cases_are_cut_down_and_refused_for_want_of_a_time_only() -> None:
    counts: Counter[str] = Counter()
    for case in other_cases("aws.vpcflow"):
        record = json.dumps(case["event"]).encode()
        with pytest.raises(MalformedRecord) as refusal:
            FORMAT.normalise(record)
        counts[refusal.value.what.partition(": ")[2].partition(" of ")[0]] += 1
        if case["event"]:
            assert GOLDEN.faults(FORMAT.normalise(json.dumps({**case["event"], "end": 1795334519}).encode())) == []
    assert counts == {"it has no readable time": 16, "it has no two": 1}
