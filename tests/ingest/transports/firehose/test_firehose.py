"""Requests, answers, repeats and pressure, over real TLS."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest.schema.errors import ConfigError
from ingest.transports.firehose.transport import Firehose
from ingest.transports.registry import as_collector, inspect
from tests.ingest.fakes import until
from tests.ingest.transports.contract import TransportContract, nothing_more, opened, pull
from tests.ingest.transports.firehose.stream import KEY, Stream, body_of

ONE, TWO = b'{"n": 1}', b'{"n": 2}\n'
ZIPPED = gzip.compress(b'{"logEvents": []}', mtime=0)


@pytest.fixture
async def stream(tmp_path: Path) -> AsyncIterator[Stream]:
    stream = Stream(tmp_path)
    yield stream
    await stream.stop()


class TestFirehose(TransportContract):
    @pytest.fixture
    def harness(self, stream: Stream) -> Stream:
        return stream


async def test_the_answer_comes_after_every_record_and_names_the_request(stream: Stream) -> None:
    async with opened(stream) as (_, iterator):
        posted = stream.posting(ONE, TWO, ZIPPED, b"text")
        lines, zipped, text = await pull(iterator, 3)
        assert (lines.body, zipped.body, text.body) == (ONE + b"\n" + TWO, ZIPPED, b"text")
        assert [each.origin.locator.rpartition("/")[2] for each in (lines, zipped, text)] == ["0-1", "2-2", "3-3"]
        assert lines.origin.locator.startswith("/firehose/logs/id-1/")
        assert {each.source for each in (lines, zipped, text)} == {"logs"}
        await text.acknowledge()
        await lines.acknowledge()
        await asyncio.sleep(0.1)
        assert not posted.done()
        await zipped.acknowledge()
        answer = await posted
    assert (answer.status, answer.json["requestId"]) == (200, "id-1")


async def test_a_request_that_is_gzip_as_a_whole_is_read(stream: Stream) -> None:
    async with opened(stream) as (_, iterator):
        posted = stream.posting(ONE * 40_000, zipped=True)
        (found,) = await pull(iterator, 1)
        assert found.body == ONE * 40_000
        await found.acknowledge()
        assert (await posted).status == 200


async def test_a_request_without_records_is_accepted(stream: Stream) -> None:
    async with opened(stream) as (_, iterator):
        assert (await stream.post()).status == 200
        assert await nothing_more(iterator)


async def test_a_part_that_is_handed_back_makes_the_whole_request_the_senders_again(stream: Stream) -> None:
    async with opened(stream) as (_, iterator):
        posted = stream.posting(b"a", b"b", b"c")
        first, second = await pull(iterator, 2)
        await first.acknowledge()
        await second.reject("the brokers are away", retry=True)
        answer = await posted
        assert (answer.status, answer.json["requestId"]) == (503, "id-1")
        again = stream.posting(b"a", b"b", b"c")
        found = await pull(iterator, 3)
        assert [each.body for each in found] == [b"a", b"b", b"c"]
        for each in found:
            await each.acknowledge()
        assert (await again).status == 200


async def test_a_repeat_of_what_was_kept_is_answered_and_not_published(stream: Stream) -> None:
    async with opened(stream) as (_, iterator):
        posted = stream.posting(ONE)
        (found,) = await pull(iterator, 1)
        await found.acknowledge()
        await posted
        assert (await stream.post(ONE)).status == 200
        assert await nothing_more(iterator)


async def test_a_repeat_of_what_is_on_its_way_waits_for_it(stream: Stream) -> None:
    async with opened(stream) as (_, iterator):
        posted, again = stream.posting(ONE), stream.posting(ONE)
        (found,) = await pull(iterator, 1)
        assert not posted.done()
        await found.acknowledge()
        assert [(await each).status for each in (posted, again)] == [200, 200]


async def test_what_the_brokers_take_after_the_answer_is_known_to_the_repeat(stream: Stream) -> None:
    stream.options["answer_within_s"] = 0.1
    async with opened(stream) as (_, iterator):
        posted = stream.posting(ONE)
        (found,) = await pull(iterator, 1)
        assert (await posted).status == 503
        await found.acknowledge()
        assert (await stream.post(ONE)).status == 200


async def test_another_content_under_the_same_id_is_another_request(stream: Stream) -> None:
    async with opened(stream) as (_, iterator):
        for record in (ONE, TWO):
            posted = stream.posting(record)
            (found,) = await pull(iterator, 1)
            assert found.body == record
            await found.acknowledge()
            assert (await posted).status == 200


async def test_after_a_restart_a_repeat_has_the_same_origin(stream: Stream) -> None:
    locators = []
    for _ in range(2):
        async with opened(stream) as (_, iterator):
            posted = stream.posting(ONE, b"text")
            found = await pull(iterator, 2)
            locators.append([each.origin.locator for each in found])
            for each in found:
                await each.acknowledge()
            assert (await posted).status == 200
    assert locators[0] == locators[1]


@pytest.mark.parametrize(
    ("headers", "body", "status", "why"),
    [
        ({"Access_Key": "wrong"}, None, 401, "access key"),
        ({"Access_Key": f"{KEY}-of-other"}, None, 401, "access key"),
        ({"Protocol_Version": "2.0"}, None, 400, "protocol version 2.0"),
        ({"Request_Id": "id-2"}, None, 400, "the ids in header and body differ"),
        ({}, b"{", 400, "reading request"),
        ({}, b"[]", 400, "reading request"),
        ({}, b'{"requestId": "id-1", "records": [{"data": "a"}]}', 400, "reading request"),
        ({}, gzip.compress(body_of([ONE], "id-1"), mtime=0)[:-9], 400, "truncated"),
        ({}, b"x" * 2000, 413, "too large"),
        ({}, gzip.compress(body_of([b"x" * 100_000], "id-1"), mtime=0), 413, "more than 50000 bytes"),
    ],
    ids=["key", "key of another", "version", "ids", "cut", "list", "base64", "gzip", "large", "bomb"],
)
async def test_what_can_not_be_taken_is_refused_with_its_reason(
    stream: Stream, headers: dict[str, str], body: bytes | None, status: int, why: str
) -> None:
    stream.options |= {"max_body_bytes": 1500, "max_inflated_request_bytes": 50_000}
    async with opened(stream) as (_, iterator):
        answer = await stream.post(ONE, body=body, **headers)
        assert (answer.status, answer.json["requestId"]) == (status, headers.get("Request_Id", "id-1"))
        assert why in answer.json["errorMessage"]
        assert KEY not in answer.json["errorMessage"]
        assert await nothing_more(iterator)


async def test_beyond_what_may_be_held_requests_are_told_to_come_again(stream: Stream) -> None:
    stream.options["max_in_flight_bytes"] = 1000
    async with opened(stream) as (_, iterator):
        posted = stream.posting(b"x" * 600)
        (found,) = await pull(iterator, 1)
        answer = await stream.post(b"y" * 600, request_id="id-2")
        assert (answer.status, answer.json["requestId"]) == (429, "id-2")
        await found.acknowledge()
        assert (await posted).status == 200


async def test_a_stop_answers_what_waits_and_frees_everything(stream: Stream) -> None:
    transport = await stream.open()
    iterator = transport.deliveries()
    posted = stream.posting(b"a", b"b")
    await pull(iterator, 1)
    await transport.close()
    assert (await posted).status == 503
    await iterator.aclose()  # type: ignore[attr-defined]


async def test_a_key_that_is_taken_out_of_the_file_lets_nobody_in(stream: Stream) -> None:
    async with opened(stream) as (transport, iterator):
        assert isinstance(transport, Firehose)
        (stream.directory / "keys").write_text(f"logs {KEY}-new\n")
        assert (await stream.post(ONE)).status == 401
        posted = stream.posting(ONE, Access_Key=f"{KEY}-new")
        (found,) = await pull(iterator, 1)
        await found.acknowledge()
        assert (await posted).status == 200
        await until(lambda: transport.answers == {401: 1, 200: 1})


def test_the_look_at_the_settings_names_the_port_that_firehose_needs(stream: Stream) -> None:
    def states(**changes: object) -> list[str]:
        own = stream.settings(**changes).model_dump(exclude_none=True)
        found = as_collector({"transport": "firehose", "format": "aws.cloudwatch", "firehose": own})
        return [finding.state for finding in inspect(found)]

    assert states(port=443) == ["ok"]
    assert states(port=9443) == ["warn"]
    with pytest.raises(ConfigError, match="reading tokens"):
        states(access_key_file=stream.directory / "none")
