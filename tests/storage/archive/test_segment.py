from __future__ import annotations

import json
import struct

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.errors import IntegrityError
from storage.archive import frames
from storage.archive.contents import of_envelope
from storage.archive.manifest import Batch, Partition, Totals, canonical, parse
from storage.archive.segment import MAX_LISTED_BYTES, SegmentBuilder, SegmentFiles, Tip
from storage.verify import reading
from tests.storage.archive.samples import START, TOPIC, message

TIP = Tip(seq=0, first_offset=3, previous=None, totals=Totals(records=0, bytes=0))


def build(messages: dict[int, bytes], tip: Tip = TIP) -> SegmentFiles:
    builder = SegmentBuilder("acme", TOPIC, 0)
    for offset, value in messages.items():
        builder.add(offset, of_envelope(value))
    last = max(messages)
    return builder.build(
        tip,
        last_offset=last,
        sealed_at=START,
        batch=Batch(first_offset=min(messages), last_offset=last, parts=1),
        partition=Partition(start=3, gaps=[]),
    )


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_a_body_gives_back_its_records(records: list[bytes]):
    assert frames.unpack(frames.pack(records), "here") == records


def test_an_outsider_reads_a_body_with_a_loop():
    content = zstandard.decompress(frames.pack([b"a\nb", b"", b"c"]))
    assert content == struct.pack(">I", 3) + b"a\nb" + struct.pack(">I", 0) + struct.pack(">I", 1) + b"c"


@pytest.mark.parametrize("damage", ["cut", "trailing", "checksum", "not zstd"])
def test_a_damaged_body_is_refused(damage: str):
    body = frames.pack([b"abc" * 100])
    damaged = {
        "cut": body[:-3],
        "trailing": body + b"x",
        "checksum": body[:-1] + bytes([body[-1] ^ 1]),
        "not zstd": b"\x00" * 20,
    }[damage]
    with pytest.raises(IntegrityError, match="inflating"):
        frames.unpack(damaged, "here")


@pytest.mark.parametrize("content", [b"\x00\x00", struct.pack(">I", 5) + b"abc"])
def test_frames_that_are_cut_are_refused(content: bytes):
    with pytest.raises(IntegrityError, match="cut in a"):
        frames.unpack(frames.compress(content), "here")


def test_messages_with_equally_many_records_make_one_run():
    files = build(
        {
            3: message("acme", b"a"),
            4: message("acme", b"b"),
            5: message("acme", b"c", b"d"),
            8: message("acme", b"e", b"f"),
        }
    )
    assert files.manifest.positions == [(3, 2, 1), (5, 1, 2), (8, 1, 2)]
    assert files.manifest.offsets() == [(3, 1), (4, 1), (5, 2), (8, 2)]
    assert [files.manifest.span_of(offset) for offset in (3, 4, 5, 6, 8)] == [(0, 1), (1, 1), (2, 2), None, (4, 2)]


def test_the_same_messages_give_the_same_bytes():
    messages = {3: message("acme", b"a", b"b"), 4: message("acme", b"c", locator="other")}
    assert build(messages) == build(messages)


def test_a_manifest_is_canonical_json_that_reads_back():
    files = build({3: message("acme", b"a", locator='bucket/ü\x01"\\/\u2028.gz')})
    assert parse(files.body, "here") == files.manifest
    assert reading.canonical(json.loads(files.body)) == files.body
    document, wrong = reading.document(files.body, reading.MANIFEST_SHAPE)
    assert (document is not None, wrong) == (True, "")


@given(st.text(max_size=30))
def test_canonical_json_is_what_another_encoder_makes_of_it(text: str):
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert canonical({"b": text, "a": [1, None]}) == reading.canonical(
        json.loads(canonical({"a": [1, None], "b": text}))
    )


def test_a_manifest_stays_small_however_many_sources_there_are():
    messages = {offset: message("acme", b"r", locator="l" * 200 + str(offset)) for offset in range(3, 1503)}
    files = build(messages)
    assert files.manifest.sources.count == 1500
    assert files.manifest.sources.origins == []
    assert len(files.body) < 65_536
    few = build({3: message("acme", b"r", locator="l" * 130)})
    assert sum(source.records for source in few.manifest.sources.origins) == 1
    assert len(canonical(few.manifest.sources.origins)) <= MAX_LISTED_BYTES


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"v":2}'])
def test_what_is_no_manifest_is_refused_with_its_place(body: bytes):
    with pytest.raises(IntegrityError, match="reading manifest") as caught:
        parse(body, "acme/seg/t/0/x")
    assert caught.value.where == "acme/seg/t/0/x"


def test_a_manifest_of_a_later_version_asks_for_an_upgrade():
    later = json.loads(build({3: message("acme", b"a")}).body) | {"v": 2}
    with pytest.raises(IntegrityError, match="version 2") as caught:
        parse(json.dumps(later).encode(), "here")
    assert "upgrade" in caught.value.mend
