"""Shards that are split and merged, on kinesalite: its closed shards end, as those of AWS do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ingest.transports.contract import Delivery
from ingest.transports.kinesis.checkpoint import Mark
from ingest.transports.kinesis.lineage import Shard, readable, shard_of
from tests.ingest.fakes import NOW
from tests.ingest.transports.aws.servers import Aws
from tests.ingest.transports.contract import nothing_more, opened, pull
from tests.ingest.transports.kinesis.source import QUARTER, Source

FIRST, LEFT, RIGHT = (f"shardId-{number:012}" for number in range(3))


def numbered(first: int, count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(first, first + count)]


def split_after_two_records(source: Source) -> None:
    source.put(numbered(0, 2))
    source.split(FIRST)
    for number in range(2, 8):
        source.put(numbered(number, 1), key=f"key-{number}")


async def acknowledged(iterator: AsyncIterator[Delivery], records: int) -> list[bytes]:
    """Pull and acknowledge until so many records came."""
    found: list[bytes] = []
    while len(found) < records:
        (delivery,) = await pull(iterator, 1)
        found += delivery.body.split()
        await delivery.acknowledge()
    return found


async def test_children_are_read_after_their_parent_is_acknowledged_to_its_end(source: Source) -> None:
    split_after_two_records(source)
    async with opened(source) as (_, iterator):
        (parent,) = await pull(iterator, 1)
        assert parent.body.split() == numbered(0, 2)
        assert FIRST in parent.origin.locator
        waiting = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
        await asyncio.sleep(0.8)
        assert not waiting.done()
        await parent.acknowledge()
        child = await asyncio.wait_for(waiting, 10)
        assert LEFT in child.origin.locator or RIGHT in child.origin.locator
        await child.acknowledge()
        rest = await acknowledged(iterator, 6 - len(child.body.split()))
        assert sorted([*child.body.split(), *rest]) == numbered(2, 6)


async def test_a_restart_amid_a_split_goes_on_with_the_children_alone(source: Source) -> None:
    split_after_two_records(source)
    async with opened(source) as (_, iterator):
        assert await acknowledged(iterator, 2) == numbered(0, 2)
    async with opened(source) as (_, iterator):
        assert sorted(await acknowledged(iterator, 6)) == numbered(2, 6)
        assert await nothing_more(iterator)
    async with opened(source) as (_, iterator):
        assert await nothing_more(iterator)


async def test_a_parent_that_is_not_acknowledged_comes_again_before_its_children(source: Source) -> None:
    split_after_two_records(source)
    async with opened(source) as (_, iterator):
        await pull(iterator, 1)
    async with opened(source) as (_, iterator):
        found = await acknowledged(iterator, 8)
    assert found[:2] == numbered(0, 2)
    assert sorted(found) == numbered(0, 8)


async def test_a_stream_that_is_split_while_it_is_read_loses_nothing(source: Source) -> None:
    async with opened(source) as (_, iterator):
        await source.send(numbered(0, 3))
        found = await acknowledged(iterator, 3)
        await asyncio.to_thread(source.split, FIRST)
        await asyncio.to_thread(source.split, LEFT, QUARTER)
        for number in range(3, 20):
            await asyncio.to_thread(source.put, numbered(number, 1), f"key-{number}")
        found += await acknowledged(iterator, 17)
    assert sorted(found) == sorted(numbered(0, 20))
    assert len(source.shards()) == 5


async def test_merged_shards_are_both_read_before_their_child(streams: Aws, tmp_path: Path) -> None:
    source = Source.made(streams, tmp_path, shards=2)
    for number in range(8):
        source.put(numbered(number, 1), key=f"key-{number}")
    source.merge(FIRST, LEFT)
    source.put(numbered(8, 1))
    async with opened(source) as (_, iterator):
        found = await acknowledged(iterator, 9)
    assert sorted(found[:8]) == numbered(0, 8)
    assert found[8:] == numbered(8, 1)


async def test_a_closed_shard_without_records_does_not_hold_its_children_back(source: Source) -> None:
    source.split(FIRST)
    source.put(numbered(0, 1))
    async with opened(source) as (_, iterator):
        assert await acknowledged(iterator, 1) == numbered(0, 1)


def test_parents_are_told_by_the_stream() -> None:
    assert shard_of({"ShardId": "c"}) == Shard("c")
    assert shard_of({"ShardId": "c", "ParentShardId": "a"}) == Shard("c", ("a",))
    assert shard_of({"ShardId": "c", "ParentShardId": "a", "AdjacentParentShardId": "b"}) == Shard("c", ("a", "b"))


FAMILY = [Shard("a"), Shard("b"), Shard("c", ("a",)), Shard("d", ("a",)), Shard("e", ("d", "b")), Shard("f", ("old",))]


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_no_shard_is_read_before_every_parent_that_is_left_is_done(done: set[str], begun: set[str]) -> None:
    marks = {name: Mark(reached_at=NOW) for name in begun} | {name: Mark(reached_at=NOW, done=True) for name in done}
    found = set(readable(FAMILY, marks))
    for shard in FAMILY:
        parents = set(shard.parents) - {"old"}  # the stream no longer knows it: it has expired
        assert (shard.id in found) == (shard.id not in done and parents <= done)
