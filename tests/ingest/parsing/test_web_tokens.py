"""Web tokens are taken out wherever they stand, and what only looks like their beginnings costs no time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsing.web_tokens import without_web_tokens

PLAIN = re.compile(rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")
PARTS = [b"eyJ", b"aaaaaaaa", b".", b"x", b" ", b'"', b"eyJaaaaaaaa", b"-", b"%20", b".eyJbbbbbbbbb.", b"\xff"]


@pytest.mark.parametrize("before", [b"", b"Bearer ", b"Bearer%20", b"\\n", b'"', b"a.", b"token=", b"x_eyJ"])
def test_a_token_is_replaced_whatever_stands_before_it(before: bytes) -> None:
    text = before + b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl and more"
    found = without_web_tokens(text)
    assert b"eyJzdWIi" not in found
    assert b"c2lnbmF0dXJl" not in found
    assert found.endswith(b"<redacted> and more")


@given(st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join))
def test_exactly_what_the_plain_pattern_finds_is_replaced(text: bytes) -> None:
    assert without_web_tokens(text) == PLAIN.sub(b"<redacted>", text)


def test_a_text_without_a_token_stays_the_same_object() -> None:
    text = b'{"a":"eyJhbGciOiJIUzI1NiJ9.eyJ"}'
    assert without_web_tokens(text) is text


@pytest.mark.parametrize(
    "piece", [b"eyJ", b"eyJaaaaaaaa.", b"eyJaaaaaaaa.eyJ", b".eyJaaaaaaaa", b"eyJaaaaaaaa.eyJaaaaaaaa"]
)
def test_a_megabyte_of_beginnings_costs_a_moment(piece: bytes) -> None:
    began = time.process_time()
    without_web_tokens(piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 5
