from __future__ import annotations

from pathlib import Path

import pytest

from ingest.schema.dead_letter import DeadLetter, decode, encode
from ingest.schema.errors import StoreUnavailable, UnsupportedEnvelope
from storage.archive.stores.filesystem import FilesystemStore
from streams.dead_letters import Redrive, Wanted, body_of, decode_redrive, encode_redrives, find, newest
from tests.streams.letters import NOW, body_letter, poison_letter, record_letter, stream

LETTERS = [record_letter(index) for index in range(5)]


async def test_the_newest_letters_come_first_and_the_rest_is_counted() -> None:
    listing = await newest(stream(LETTERS), Wanted(), 2)
    assert [filed.id for filed in listing.letters] == [LETTERS[4].id, LETTERS[3].id]
    assert listing.total == 5


async def test_a_listed_letter_keeps_the_id_of_its_body_without_the_body() -> None:
    listing = await newest(stream(LETTERS[:1]), Wanted(), None)
    assert listing.letters[0].id == LETTERS[0].id
    assert listing.letters[0].letter.body == b""


@pytest.mark.parametrize("limit", [1, 3, None])
async def test_a_letter_written_twice_after_a_replay_is_listed_once(limit: int | None) -> None:
    listing = await newest(stream([*LETTERS, *LETTERS]), Wanted(), limit)
    assert listing.total == 5
    assert len({filed.id for filed in listing.letters}) == len(listing.letters) == (limit or 5)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(stage="collect"), [False, True, False]),
        (Wanted(reason="MalformedRecord"), [True, False, False]),
        (Wanted(namespace="acme"), [True, True, False]),
        (Wanted(namespace="acme", stage="index"), [True, False, False]),
        (Wanted(), [True, True, True]),
    ],
)
def test_filters_choose_by_stage_reason_and_namespace(wanted: Wanted, expected: list[bool]) -> None:
    assert [wanted(letter) for letter in (LETTERS[0], body_letter(b"x"), poison_letter())] == expected


async def test_finding_reads_no_further_than_needed() -> None:
    read: list[DeadLetter] = []

    async def counted():  # type: ignore[no-untyped-def]
        async for letter in stream(LETTERS):
            read.append(letter)
            yield letter

    found = await find(counted(), [LETTERS[1].id])
    assert found == {LETTERS[1].id: LETTERS[1]}
    assert len(read) == 2


def test_a_body_in_the_archive_is_read_from_there(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    store.put("acme/obj/1", b"whole")
    assert body_of(body_letter(b"whole", object_key="acme/obj/1"), store) == b"whole"


def test_an_object_that_the_archive_does_not_hold_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no such object") as missing:
        body_of(body_letter(b"whole", object_key="acme/obj/1"), FilesystemStore(tmp_path))
    assert missing.value.where == "acme/obj/1"


def test_a_letter_of_before_repeats_were_kept_can_still_be_read() -> None:
    import msgspec  # noqa: PLC0415 - only this test looks at the wire form

    fields = msgspec.msgpack.decode(encode(LETTERS[0])[1:])
    del fields["repeat"]
    assert decode(b"\x01" + msgspec.msgpack.encode(fields)) == LETTERS[0]


def test_a_redrive_survives_its_wire_form() -> None:
    redrive = Redrive(letter="abc", at=NOW, records=3, times=2)
    ((key, value, partition),) = encode_redrives([redrive])
    assert (key, partition) == (b"abc", None)
    assert decode_redrive(value) == redrive


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x80", b"no redrive"])
def test_what_is_no_redrive_is_refused(value: bytes) -> None:
    with pytest.raises(UnsupportedEnvelope, match="decoding redrive"):
        decode_redrive(value)
