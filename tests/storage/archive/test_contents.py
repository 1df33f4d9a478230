from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema import dead_letter
from ingest.schema.envelope import Envelope, encode
from storage.archive.contents import UNREADABLE, of_envelope, of_letter
from tests.storage.archive.samples import header, message


def test_an_envelope_gives_its_records_and_what_its_header_says():
    value = encode(Envelope(header=header("acme"), records=(b"a", b"b", b"b"), repeats={2: 1}))
    content = of_envelope(value)
    assert (content.namespace, content.records, content.repeats) == ("acme", (b"a", b"b", b"b"), {2: 1})
    assert content.header == header("acme")


@pytest.mark.parametrize(
    "value",
    [
        b"\x07 poison",
        message("acme"),
        message("../etc", b"a"),
        message("", b"a"),
        message(".hidden", b"a"),
        message(UNREADABLE, b"a"),
    ],
    ids=["poison", "no records", "a path", "no namespace", "a hidden name", "our own name"],
)
def test_what_has_no_chain_of_its_own_is_kept_whole(value: bytes):
    content = of_envelope(value)
    assert (content.namespace, content.records, content.header) == (UNREADABLE, (value,), None)


def test_a_message_without_a_value_is_an_empty_record():
    assert of_envelope(None).records == (b"",)
    assert of_letter(None).records == (b"",)


def test_a_dead_letter_is_kept_whole_in_the_namespace_of_its_header():
    letter = dead_letter.DeadLetter(
        stage="index",
        reason="MalformedRecord",
        message="no time",
        refused_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        body=b"{}",
        size=2,
        header=header("globex"),
    )
    value = dead_letter.encode(letter)
    assert (of_letter(value).namespace, of_letter(value).records) == ("globex", (value,))


@given(st.binary(max_size=200) | st.none())
def test_no_value_raises_and_none_is_lost(value: bytes | None):
    for content in (of_envelope(value), of_letter(value)):
        assert content.records
