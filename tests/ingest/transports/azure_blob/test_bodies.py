"""What of a growing blob goes on its way: every byte once, in order, cut at ends of records."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.errors import SourceRefused
from ingest.transports.azure_blob.bodies import Body, next_body
from ingest.transports.azure_blob.container import Listed, Read
from ingest.transports.azure_blob.marks import Mark
from ingest.transports.azure_blob.track import Track

LIMIT = 1000


class Blob:
    """A blob in memory."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    async def read(self, start: int, size: int, _etag: str) -> Read | None:
        if self.data and start >= len(self.data):
            return None
        return Read(self.data[start : start + size], len(self.data), str(len(self.data)), "")

    def listed(self) -> Listed:
        return Listed("b", "host/c/b", len(self.data), str(len(self.data)), 0.0, appended=True)

    def next(self, last: Mark | None, *, growing: bool = True, piece: int = 64) -> Body | None:
        return asyncio.run(next_body(self.read, last, growing=growing, limit=LIMIT, where="b", piece=piece))


def read_all(blob: Blob, track: Track, *, growing: bool, piece: int = 64) -> list[bytes]:
    """Everything that is there now."""
    bodies = []
    while True:
        found = blob.next(track.base, growing=growing, piece=piece)
        assert found is not None
        assert not found.replaced
        if found.body:
            track.advance(blob.listed(), found)
            bodies.append(found.body)
        if found.ended:
            return bodies


RECORD = st.integers(0, 10**30).map(lambda n: b'{"n": %d}' % n)
LINE_ENDS = st.sampled_from([b"\n", b"\r\n"])


@given(st.lists(RECORD, min_size=1, max_size=20), LINE_ENDS, st.data())
def test_a_blob_that_grows_in_any_steps_comes_whole_and_cut_between_records(
    records: list[bytes], end: bytes, data: st.DataObject
) -> None:
    content = end.join(records) + (end if data.draw(st.booleans()) else b"")
    steps = sorted(data.draw(st.lists(st.integers(1, len(content)), max_size=6)))
    piece = data.draw(st.integers(8, 80))
    blob, track, bodies = Blob(), Track(), []
    for step in [*steps, len(content)]:
        blob.data = content[:step]
        if data.draw(st.booleans()):  # a restart knows only the mark
            track = Track(track.last)
        bodies += read_all(blob, track, growing=True, piece=piece)
    assert b"".join(bodies) == content
    assert [line for body in bodies for line in body.split()] == content.split()
    assert all(body.split(b"\n")[0].strip() in (b"", *records) for body in bodies)


def test_an_unfinished_record_waits_for_its_end() -> None:
    blob = Blob(b'{"n": 1}\n{"n": ')
    track = Track()
    found = blob.next(None)
    assert found is not None
    assert (found.body, found.waits, found.ended) == (b'{"n": 1}\n', True, True)
    track.advance(blob.listed(), found)
    blob.data += b"2}\n"
    assert read_all(blob, track, growing=True) == [b'{"n": 2}\n']


def test_an_unfinished_record_goes_as_it_is_when_nobody_appends_any_longer() -> None:
    blob, track = Blob(b'{"n": 1}\n{"n": '), Track()
    read_all(blob, track, growing=True)
    assert read_all(blob, track, growing=False) == [b'{"n": ']


def test_the_first_record_alone_is_not_kept_back() -> None:
    assert read_all(Blob(b'{"n": 1}'), Track(), growing=True) == [b'{"n": 1}']


def test_a_number_at_the_end_may_yet_grow() -> None:
    assert read_all(Blob(b"12\n34"), Track(), growing=True) == [b"12\n"]


def test_a_document_that_grows_waits_until_it_closes() -> None:
    blob, track = Blob(b'{"records": [\n {"n": 1}'), Track()
    assert read_all(blob, track, growing=True) == []
    blob.data += b"\n]}"
    assert read_all(blob, track, growing=True) == [blob.data]


def test_a_document_larger_than_a_piece_comes_whole() -> None:
    document = b'{"records": [\n' + b",\n".join(b'{"n": %d}' % n for n in range(40)) + b"\n]}"
    found = Blob(document).next(None)
    assert found is not None
    assert (found.body, found.whole) == (document, True)


def test_what_no_longer_holds_what_was_read_is_noticed() -> None:
    blob, track = Blob(b'{"n": 1}\n'), Track()
    read_all(blob, track, growing=True)
    blob.data = b'{"n": 2}\n{"n": 3}\n'
    found = blob.next(track.base)
    assert found is not None
    assert found.replaced


@pytest.mark.parametrize("data", [b"x" * (LIMIT + 100), b"{\n" + b" " * LIMIT])
def test_what_can_not_be_cut_below_the_limit_is_refused(data: bytes) -> None:
    with pytest.raises(SourceRefused, match=f"the limit is {LIMIT}"):
        Blob(data).next(None)


@given(st.permutations(range(8)), st.integers(0, 8))
def test_a_mark_never_passes_a_body_without_acknowledgement(order: list[int], count: int) -> None:
    blob, track, reaches = Blob(), Track(), []
    for number in range(8):
        blob.data += b'{"n": %d}\n' % number
        found = blob.next(track.base)
        assert found is not None
        reaches.append(track.advance(blob.listed(), found))
    done: set[int] = set()
    acknowledged = 0
    for number in order[:count]:
        mark = track.settle(reaches[number])
        acknowledged = mark.offset if mark else acknowledged
        done.add(number)
        run = next((n for n in range(8) if n not in done), 8)
        assert acknowledged == run * len(b'{"n": 0}\n')
