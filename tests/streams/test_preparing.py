"""What becomes of a raw message before it is written: nothing raises, every record is prepared or a letter."""

from __future__ import annotations

import datetime as dt
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.envelope import Envelope, Position, encode, pack
from storage.archive.contents import UNREADABLE, of_envelope
from streams.accounting import source_key
from streams.preparing import Limits, prepare
from streams.topics import raw_topic
from tests.faults.material import CLOUDTRAIL, cloudtrail, header

NOW = dt.datetime.now(dt.UTC)
PLACE = Position(raw_topic(CLOUDTRAIL), 1, 42)
LIMITS = Limits.of(24, 365)
GOOD = cloudtrail(random.Random(8), 3, NOW)


def at(record: bytes, moment: dt.datetime) -> bytes:
    changed = msgspec.json.decode(record)
    changed["eventTime"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return msgspec.json.encode(changed)


def value(records: list[bytes], namespace: str = "acme", format_name: str = CLOUDTRAIL) -> bytes:
    return encode(Envelope(header=header(namespace, format_name), records=tuple(records)))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_become_letters_and_never_an_error(garbage: bytes) -> None:
    message = prepare(garbage, PLACE, NOW, LIMITS)
    assert message.received == len(message.letters) == 1
    assert message.letters[0].body == garbage


@given(st.lists(st.one_of(st.sampled_from(GOOD), st.binary(max_size=50)), min_size=1, max_size=6))
def test_every_record_is_prepared_or_a_letter_with_its_bytes(records: list[bytes]) -> None:
    message = prepare(value(records), PLACE, NOW, LIMITS)
    prepared = {each.position.index: each.record for each in message.records}
    refused = {letter.position.index: letter.body for letter in message.letters if letter.position}
    assert prepared | refused == dict(enumerate(records))
    assert len(prepared) + len(refused) == message.received == len(records)


@pytest.mark.parametrize("namespace", ["", "../up", "UPPER", "a|b", "a-b", UNREADABLE, "x" * 101])
def test_a_namespace_that_can_own_nothing_is_unreadable_for_every_role(namespace: str) -> None:
    message = prepare(value(GOOD, namespace), PLACE, NOW, LIMITS)
    assert (message.header, message.received, len(message.letters)) == (None, 1, 1)
    assert of_envelope(value(GOOD, namespace)).namespace == UNREADABLE


def test_an_envelope_without_records_is_unreadable_for_every_role() -> None:
    message = prepare(value([]), PLACE, NOW, LIMITS)
    assert (message.header, message.received) == (None, 1)
    assert of_envelope(value([])).header is None


def test_records_of_an_unknown_format_are_letters_of_their_source_that_can_be_redriven() -> None:
    message = prepare(value([b"a", b"b"], format_name="no.such"), PLACE, NOW, LIMITS)
    assert message.header is not None
    assert [letter.body for letter in message.letters] == [b"a", b"b"]
    assert {letter.header for letter in message.letters} == {message.header}
    assert source_key(message.header) == source_key(of_envelope(value([b"a"], format_name="no.such")).header)


def test_what_the_header_says_of_all_records_reaches_their_format() -> None:
    said = (("fields", "srcaddr dstaddr end"),)
    stamp = str(int(NOW.timestamp())).encode()
    envelope = Envelope(
        header=msgspec.structs.replace(header("acme", "aws.vpcflow"), context=said),
        records=(b"1.2.3.4 5.6.7.8 " + stamp,),
    )
    (prepared,) = prepare(encode(envelope), PLACE, NOW, LIMITS).records
    assert prepared.identified.document["destination"]["ip"] == "5.6.7.8"
    silent = msgspec.structs.replace(envelope, header=msgspec.structs.replace(envelope.header, context=()))
    assert len(prepare(encode(silent), PLACE, NOW, LIMITS).letters) == 1


def test_event_times_beyond_the_limits_are_refused_and_their_neighbours_are_not() -> None:
    ahead, back = NOW + dt.timedelta(hours=25), NOW - dt.timedelta(days=366)
    records = [GOOD[0], at(GOOD[1], ahead), at(GOOD[2], back)]
    message = prepare(value(records), PLACE, NOW, LIMITS)
    assert [each.record for each in message.records] == records[:1]
    assert ["ahead" in letter.message or "older" in letter.message for letter in message.letters] == [True, True]


def test_the_place_and_the_repeats_of_a_record_reach_its_letter() -> None:
    envelope = pack(header("acme", CLOUDTRAIL), [b"x", b"x"], {1: 1})[0]
    message = prepare(encode(envelope), PLACE, NOW, LIMITS)
    assert [letter.repeat for letter in message.letters] == [0, 1]
    assert [letter.position for letter in message.letters] == [
        Position(PLACE.topic, 1, 42, index) for index in range(2)
    ]
