from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.dead_letter import DeadLetter
from ingest.schema.envelope import MAX_RECORD_BYTES, Envelope, Position, encode
from ingest.schema.errors import BrokerUnavailable
from storage.archive.stores.filesystem import FilesystemStore
from streams.dead_letters import Redrive
from streams.preparing import Limits, prepare
from streams.redriving import Result, Road, joined, redrive
from tests.ingest.fakes import Fault, MemoryPublisher
from tests.streams.letters import NOW, body_letter, header, poison_letter, record_letter, stream

BODY = b'{"Records":[{"eventID":"a"},{"eventID":"b"}]}'
LIMIT = 1024 * 1024


class Desk:
    """Everything around a redrive, in memory but for the archive."""

    def __init__(self, directory: Path, faults: Sequence[Fault] = ()) -> None:
        self.publisher = MemoryPublisher(faults)
        self.store = FilesystemStore(directory)
        self.done: dict[str, Redrive] = {}
        self.limit = LIMIT

    async def note(self, redrives: Sequence[Redrive]) -> None:
        self.done |= {each.letter: each for each in redrives}

    async def run(self, letters: Iterable[DeadLetter], *, dry_run: bool = False, again: bool = False) -> list[Result]:
        road = Road(self.publisher, self.store, self.note, lambda _: self.limit, lambda: NOW, dry_run=dry_run)
        return [result async for result in redrive(stream(letters), road, done=dict(self.done), again=again)]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_a_record_travels_with_the_header_and_the_ordinal_it_had(desk: Desk) -> None:
    results = await desk.run([record_letter(4, repeat=2)])
    assert [(r.outcome, r.records) for r in results] == [("redriven", 1)]
    assert desk.publisher.envelopes == [Envelope(header=header(104), records=(b'{"eventID":"4"}',), repeats={0: 2})]


async def test_records_of_one_envelope_travel_together_again_whatever_their_order(desk: Desk) -> None:
    await desk.run([record_letter(index) for index in (2, 0, 1, 7)])
    assert [(e.header.origin.first_ordinal, len(e.records)) for e in desk.publisher.envelopes] == [(100, 3), (107, 1)]


async def test_a_redriven_letter_is_not_redriven_twice_unless_asked(desk: Desk) -> None:
    letter = record_letter(0)
    await desk.run([letter])
    second = await desk.run([letter])
    third = await desk.run([letter], again=True)
    assert [r.outcome for r in (*second, *third)] == ["redriven before", "redriven"]
    assert len(desk.publisher.records) == 2
    assert desk.done[letter.id].times == 2


async def test_a_letter_that_is_in_the_topic_twice_is_redriven_once(desk: Desk) -> None:
    await desk.run([record_letter(0), record_letter(0)])
    assert len(desk.publisher.records) == 1


async def test_a_dry_run_tells_the_same_and_does_nothing(desk: Desk) -> None:
    results = await desk.run([record_letter(0), body_letter(BODY), poison_letter()], dry_run=True)
    assert sorted((r.outcome, r.records) for r in results) == [
        ("stays dead", 0),
        ("would be redriven", 1),
        ("would be redriven", 2),
    ]
    assert (desk.publisher.calls, desk.done) == (0, {})


async def test_a_message_without_header_stays_dead_and_says_so(desk: Desk) -> None:
    (result,) = await desk.run([poison_letter()])
    assert result.outcome == "stays dead"
    assert "no header" in result.why
    assert desk.done == {}


async def test_a_body_refused_for_a_limit_that_was_raised_gives_its_records(desk: Desk) -> None:
    letter = body_letter(gzip.compress(BODY))
    desk.limit = 10
    (refused,) = await desk.run([letter])
    desk.limit = LIMIT
    (mended,) = await desk.run([letter])
    assert (refused.outcome, mended.outcome, mended.records) == ("stays dead", "redriven", 2)
    assert desk.publisher.records == [b'{"eventID":"a"}', b'{"eventID":"b"}']
    assert desk.publisher.envelopes[0].header.received_at == NOW


async def test_a_body_still_broken_at_the_same_place_publishes_nothing(desk: Desk) -> None:
    (result,) = await desk.run([body_letter(BODY[:-2] + b",{", delivered=2)])
    assert result.outcome == "stays dead"
    assert "still refused" in result.why
    assert (desk.publisher.envelopes, desk.publisher.letters) == ([], [])


async def test_a_body_that_breaks_later_than_before_gives_what_it_has_and_a_new_letter(desk: Desk) -> None:
    letter = body_letter(BODY[:-2] + b",{", delivered=1)
    (result,) = await desk.run([letter])
    assert (result.outcome, result.records) == ("redriven", 2)
    assert [new.id == letter.id for new in desk.publisher.letters] == [False]


async def test_a_body_in_the_archive_is_redriven_from_there(desk: Desk) -> None:
    desk.store.put("acme/obj/1", BODY)
    (result,) = await desk.run([body_letter(BODY, object_key="acme/obj/1")])
    assert (result.outcome, result.records) == ("redriven", 2)


async def test_a_body_that_the_archive_lost_stays_dead_and_its_neighbour_does_not(desk: Desk) -> None:
    results = await desk.run([body_letter(BODY, object_key="acme/obj/gone"), record_letter(1)])
    assert sorted(r.outcome for r in results) == ["redriven", "stays dead"]


async def test_a_record_too_large_for_an_envelope_stays_dead(desk: Desk) -> None:
    desk.store.put("acme/obj/1", bytes(MAX_RECORD_BYTES + 1))
    (result,) = await desk.run([body_letter(b"", object_key="acme/obj/1", reason="OversizedRecord")])
    assert result.outcome == "stays dead"
    assert str(MAX_RECORD_BYTES) in result.why


async def test_a_format_that_this_build_lacks_keeps_its_letter_dead(desk: Desk) -> None:
    letter = msgspec.structs.replace(record_letter(0), header=header(format_name="no.such"))
    (result,) = await desk.run([letter])
    assert result.outcome == "stays dead"
    assert "no format 'no.such'" in result.why


@pytest.mark.parametrize("fault", ["lost", "applied"])
async def test_what_the_brokers_did_not_acknowledge_is_not_noted_and_goes_at_the_next_try(
    tmp_path: Path, fault: Fault
) -> None:
    desk = Desk(tmp_path, [fault])
    with pytest.raises(BrokerUnavailable):
        await desk.run([record_letter(0)])
    assert desk.done == {}
    (result,) = await desk.run([record_letter(0)])
    assert result.outcome == "redriven"
    assert set(desk.publisher.records) == {b'{"eventID":"0"}'}


def test_the_letter_of_a_record_keeps_how_often_its_bytes_came_before() -> None:
    envelope = Envelope(header=header(), records=(b"no json",) * 2, repeats={1: 1})
    limits = Limits.of(24, 30)
    message = prepare(encode(envelope), Position("skytrail.raw.aws.cloudtrail.v1", 0, 5), NOW, limits)
    assert [letter.repeat for letter in message.letters] == [0, 1]


@given(st.lists(st.integers(0, 2000), max_size=60))
def test_joining_loses_no_record_and_keeps_its_ordinal(ordinals: list[int]) -> None:
    single = [Envelope(header=header(n), records=(b"%d" % n,), repeats={0: n} if n % 3 == 0 else {}) for n in ordinals]
    found = [
        (each.header.origin.first_ordinal + place, record, each.repeats.get(place, 0))
        for each in joined(single)
        for place, record in enumerate(each.records)
    ]
    assert sorted(found) == sorted((n, b"%d" % n, n if n % 3 == 0 else 0) for n in ordinals)


async def test_a_record_that_a_format_recognises_by_now_goes_there(desk: Desk) -> None:
    told = b'{"eventName":"GetObject","eventSource":"s3.amazonaws.com","eventID":"e"}'
    letters = [
        msgspec.structs.replace(body_letter(body, reason="UnrecognisedRecord"), header=header(format_name="auto"))
        for body in (told, b'{"who":"knows"}')
    ]
    results = await desk.run(letters)
    assert sorted((result.outcome, result.records) for result in results) == [("redriven", 1), ("stays dead", 0)]
    assert [(each.header.format, each.records) for each in desk.publisher.envelopes] == [("aws.cloudtrail", (told,))]
    assert any("still not recognised" in result.why for result in results)
