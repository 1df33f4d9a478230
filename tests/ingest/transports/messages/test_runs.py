"""Which messages may travel as one body, and that none of their bytes is lost by it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.gcp_audit.format import FORMAT
from ingest.transports.messages.runs import cut_runs, is_line, joined


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'{"a": 1}', True),
        (b' {"a": {"b": [1]}}\n', True),
        (b'{"a":\n1}', False),
        (b'{"a": 1}\n{"a": 2}', False),
        (b'{"a": 1} {"a": 2}', False),
        (b'{"a": 1', False),
        (b'[{"a": 1}]', False),
        (b"\x1f\x8b\x08", False),
        (b"<34>1 - - - - - -", False),
        (b'\xef\xbb\xbf{"a": 1}', False),
        (b"", False),
    ],
)
def test_only_one_object_on_one_line_may_have_neighbours(body: bytes, *, line: bool) -> None:
    assert is_line(body) is line


def test_a_message_that_is_no_line_stands_alone_and_order_is_kept() -> None:
    bodies = [b"{}", b'{"b":1}', b"oops", b"{}", b"", b"{}\n", b"{}"]
    assert [bodies[cut] for cut in cut_runs(bodies, 500, 1000)] == [
        [b"{}", b'{"b":1}'],
        [b"oops"],
        [b"{}"],
        [b""],
        [b"{}\n", b"{}"],
    ]


def test_a_run_ends_at_either_limit_and_a_larger_message_is_a_run() -> None:
    bodies = [b"{}"] * 5
    assert [len(bodies[cut]) for cut in cut_runs(bodies, 2, 1000)] == [2, 2, 1]
    assert [len(bodies[cut]) for cut in cut_runs(bodies, 500, 5)] == [2, 2, 1]
    large = [b"{}", b'{"a": "%s"}' % (b"x" * 90), b"{}"]
    assert [len(large[cut]) for cut in cut_runs(large, 500, 50)] == [1, 1, 1]


messages = st.one_of(
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=12),
)


@given(st.lists(messages, max_size=12), st.integers(1, 5), st.integers(1, 60))
def test_every_message_is_in_exactly_one_run(bodies: list[bytes], most: int, most_bytes: int) -> None:
    runs = [bodies[cut] for cut in cut_runs(bodies, most, most_bytes)]
    assert [body for run in runs for body in run] == bodies
    assert all(1 <= len(run) <= most for run in runs)
    assert all(len(run) == 1 or sum(map(len, run)) <= most_bytes for run in runs)


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), min_size=1, max_size=8))
def test_the_records_of_a_run_are_its_messages(objects: list[dict[str, int]]) -> None:
    bodies = [json.dumps(each).encode() for each in objects]
    (cut,) = cut_runs(bodies, 500, 10_000)
    assert list(FORMAT.split(joined(bodies[cut]))) == bodies
