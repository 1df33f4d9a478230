"""How files are cut: no byte is lost, whatever they hold."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.parsing.body_shape import Shape, count_lines, shape_of
from ingest.transports.files import reading
from ingest.transports.files.reading import look, read_chunk


@pytest.mark.parametrize(
    ("head", "shape"),
    [
        (b'{"a": 1}\n{"b"', Shape.LINES),
        (b'\xef\xbb\xbf\n  {"a": 1}\r\n{"b"', Shape.LINES),
        (b'{"broken\n{"a": 1}\n', Shape.LINES),
        (b'["a"]\n["b"]\n', Shape.LINES),
        (b"2 123456789010 eni-1 10.0.0.1\n", Shape.LINES),
        (b'{\n  "Records": [\n', Shape.WHOLE),
        (b'{"Records": [\n{"a": 1},\n{"b": 2},\n', Shape.WHOLE),
        (b'[\n{"a": 1}\n]\n', Shape.WHOLE),
        (gzip.compress(b"{}\n", mtime=0), Shape.WHOLE),
        (b'{"Records": [{"a"', Shape.UNDECIDED),
        (b"\n \n", Shape.UNDECIDED),
        (b"", Shape.UNDECIDED),
    ],
)
def test_the_first_lines_tell_whether_a_file_may_be_cut(head: bytes, shape: Shape) -> None:
    assert shape_of(head, complete=False) is shape


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_have_a_shape(head: bytes, complete: bool) -> None:  # noqa: FBT001 - as Hypothesis gives it
    assert shape_of(head, complete=complete) in Shape


JSON_LINES = st.sampled_from(
    [b'{"a": 1}', b"", b'{"Records": [', b'{"b": 2},', b"]}", b"text", b"[", b'{"long": "xxxxxxxxx"}']
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JSON_LINES, max_size=12), st.sampled_from([b"\n", b"\r\n"]), st.integers(1, 40), st.booleans())
def test_the_bodies_of_a_file_joined_are_the_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[bytes],
    end: bytes,
    chunk: int,
    closed: bool,  # noqa: FBT001 - as Hypothesis gives it
) -> None:
    monkeypatch.setattr(reading, "CHUNK_BYTES", chunk)
    body = end.join(lines) + (end if closed else b"")
    path = tmp_path / "file"
    path.write_bytes(body)
    found, offset = [], 0
    while read := read_chunk(path, look(path).key, offset, limit=10_000):
        found.append(read.body)
        offset += len(read.body)
    assert b"".join(found) == body
    assert sum(map(count_lines, found)) == count_lines(body)
    assert all(each.endswith(b"\n") for each in found[:-1])
