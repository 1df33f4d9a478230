"""Bodies, progress and what may be lost, on kinesalite."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ingest.schema.errors import ConfigError, SourceRefused, SourceUnavailable, StoreUnavailable
from ingest.transports.contract import Finding
from ingest.transports.registry import as_collector, inspect
from tests.ingest.fakes import NOW, until
from tests.ingest.transports.aws.servers import Aws
from tests.ingest.transports.contract import asking, nothing_more, opened, pull
from tests.ingest.transports.kinesis.source import Source

SECOND = dt.timedelta(seconds=1)
FIRST = "shardId-000000000000"


def numbered(first: int, count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(first, first + count)]


async def collected(source: Source, count: int) -> list[bytes]:
    """Pull and acknowledge; then the transport is closed."""
    async with opened(source) as (_, iterator):
        found = await pull(iterator, count)
        for each in found:
            await each.acknowledge()
    return [each.body for each in found]


async def test_lines_travel_together_and_the_gzip_of_a_subscription_alone(source: Source) -> None:
    packed = gzip.compress(b'{"messageType":"DATA_MESSAGE","logEvents":[]}')
    await source.send([*numbered(0, 3), packed, packed, *numbered(3, 2)])
    async with opened(source) as (_, iterator):
        found = await pull(iterator, 4)
    assert [each.body for each in found] == [
        b'{"n":0}\n{"n":1}\n{"n":2}\n',
        packed,
        packed,
        b'{"n":3}\n{"n":4}\n',
    ]
    stream, shard, numbers = found[0].origin.locator.split("/")
    assert (stream, shard, found[0].origin.transport) == (source.name, FIRST, "kinesis")
    first, last = numbers.split("-")
    assert int(last) > int(first)
    assert "-" not in found[1].origin.locator.split("/")[2]


async def test_the_largest_record_and_an_empty_one_arrive(source: Source) -> None:
    large = b"\x1f\x8b" + bytes(1024 * 1024 - 3)
    await source.send([large, b"", b"\xff"])
    assert await collected(source, 3) == [large, b"", b"\xff"]


async def test_progress_is_kept_every_second_so_that_a_crash_repeats_little(source: Source) -> None:
    await source.send(numbered(0, 1))
    async with opened(source) as (_, iterator):
        (first,) = await pull(iterator, 1)
        await asyncio.sleep(1.5)
        assert json.loads(source.checkpoint.read_bytes())["shards"] == {}
        await first.acknowledge()
        await until(lambda: json.loads(source.checkpoint.read_bytes())["shards"])
        mark = json.loads(source.checkpoint.read_bytes())["shards"][FIRST]
    assert first.origin.locator.endswith(mark["sequence"])


async def test_a_checkpoint_that_cannot_be_written_is_told_and_reading_goes_on(source: Source) -> None:
    source.checkpoint.parent.mkdir()
    (source.checkpoint.parent / ".mine.json.tmp").mkdir()
    await source.send(numbered(0, 1))
    assert len(await collected(source, 1)) == 1
    assert {type(each) for each in source.told.warnings} == {StoreUnavailable}


async def test_a_damaged_checkpoint_ends_the_start_and_says_what_to_do(source: Source) -> None:
    source.checkpoint.parent.mkdir()
    source.checkpoint.write_text('{"version": 1, "files": {}}')
    with pytest.raises(ConfigError, match="reading checkpoint") as told:
        await source.open()
    assert "move it away" in told.value.mend


async def test_a_checkpoint_of_another_stream_ends_the_start(source: Source) -> None:
    async with opened(source) as (_, iterator):
        assert await nothing_more(iterator)
    source.name += "-other"
    source.create()
    with pytest.raises(ConfigError, match="the checkpoint is that of") as told:
        await source.open()
    assert "another name" in told.value.mend


async def test_a_stream_that_was_made_anew_is_told_and_read_from_its_beginning(source: Source) -> None:
    await source.send(numbered(0, 1))
    assert len(await collected(source, 1)) == 1
    await asyncio.to_thread(source.recreate)
    await source.send(numbered(1, 1))
    assert await collected(source, 1) == numbered(1, 1)
    (told,) = source.told.warnings
    assert isinstance(told, SourceUnavailable)
    assert "it was made anew" in told.what


async def test_a_first_start_at_the_end_leaves_out_what_was_there_and_a_second_one_nothing(
    aws: Aws, tmp_path: Path
) -> None:
    """On moto: kinesalite never answers who begins at a time after which nothing came."""
    source = Source.made(aws, tmp_path)
    source.settings["start_at"] = "latest"
    source.place = dataclasses.replace(source.told.place, clock=lambda: dt.datetime.now(dt.UTC) + 5 * SECOND)
    await source.send(numbered(0, 2))
    await asyncio.sleep(0.05)
    async with opened(source) as (_, iterator):
        assert await nothing_more(iterator)
    await source.send(numbered(2, 1))  # nobody reads, and nothing of this shard was ever acknowledged
    assert await collected(source, 1) == numbered(2, 1)


def aged(source: Source, **age: float) -> None:
    """Let the kept progress be so old."""
    document = json.loads(source.checkpoint.read_bytes())
    for mark in document["shards"].values():
        mark["reached_at"] = (NOW - dt.timedelta(**age)).isoformat()
    source.checkpoint.write_text(json.dumps(document))


@pytest.mark.parametrize(("hours", "told"), [(23, 0), (25, 1)])
async def test_an_outage_longer_than_the_stream_keeps_records_is_told(source: Source, hours: int, told: int) -> None:
    await source.send(numbered(0, 1))
    await collected(source, 1)
    aged(source, hours=hours)
    await collected(source, 0)
    assert len(source.told.warnings) == told
    if told:
        assert "1 shards were last read to their end before the 24 hours" in str(source.told.warnings[0])


async def test_an_idle_shard_is_not_taken_for_one_that_was_not_read(source: Source) -> None:
    await source.send(numbered(0, 1))
    await collected(source, 1)
    aged(source, hours=23)
    async with opened(source) as (_, iterator):
        assert await nothing_more(iterator)
    kept = json.loads(source.checkpoint.read_bytes())["shards"][FIRST]
    assert dt.datetime.fromisoformat(kept["reached_at"]) == NOW


async def test_a_shard_that_expired_unread_is_told_and_forgotten(source: Source) -> None:
    await source.send(numbered(0, 1))
    await collected(source, 1)
    document = json.loads(source.checkpoint.read_bytes())
    mark = document["shards"][FIRST]
    document["shards"] |= {"shardId-000000000098": mark, "shardId-000000000099": {**mark, "done": True}}
    source.checkpoint.write_text(json.dumps(document))
    async with opened(source) as (_, iterator), asking(iterator):
        await until(lambda: source.told.warnings)
    (told,) = source.told.warnings
    assert "expired before it was read to its end" in told.what
    assert told.where.endswith("shardId-000000000098")
    assert set(json.loads(source.checkpoint.read_bytes())["shards"]) == {FIRST}


async def test_what_was_given_up_is_told_and_does_not_hold_back_what_follows(source: Source) -> None:
    source.settings["batch_messages"] = 1
    await source.send(numbered(0, 2))
    async with opened(source) as (_, iterator):
        first, second = await pull(iterator, 2)
        await first.reject("the archive has no room", retry=False)
        await second.acknowledge()
    async with opened(source) as (_, iterator):
        assert await nothing_more(iterator)
    assert "given up: the archive has no room" in str(source.told.warnings[0])


async def test_a_stream_that_does_not_exist_is_refused_at_the_start(source: Source) -> None:
    source.name += "-slip"
    with pytest.raises(SourceRefused, match="ResourceNotFound") as told:
        await source.open()
    assert "stream's name" in told.value.mend


def test_names_that_still_have_a_place_to_fill_are_found_by_the_look_at_the_settings() -> None:
    def look(**own: str) -> list[Finding]:
        collector: Any = as_collector({"transport": "kinesis", "format": "kubernetes.audit", "kinesis": own})
        return inspect(collector)

    arn = "arn:aws:kinesis:eu-central-1:{}:stream/shop-audit"
    assert [each.state for each in look(stream="shop-audit")] == ["ok"]
    assert [each.state for each in look(stream=arn.format("123456789012"))] == ["ok"]
    assert [each.state for each in look(stream=arn.format("<account>"))] == ["fail"]
    assert [each.state for each in look(stream="shop-audit", role_arn="<RoleArn>")] == ["fail"]
