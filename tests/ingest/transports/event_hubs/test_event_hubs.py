"""Reading an event hub: what is delivered, what the checkpoints say, and how several collectors share it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import PartitionContext

from ingest.formats.registry import format_named
from ingest.schema.errors import SourceRefused, SourceUnavailable
from ingest.transports.contract import Delivery
from ingest.transports.event_hubs.transport import EventHubs
from tests.doubles.event_hubs.server import records
from tests.ingest.transports.contract import nothing_more, pull
from tests.ingest.transports.event_hubs.site import GROUP, HUB, Site, until


@asynccontextmanager
async def reading(there: Site, name: str = "hub", **changes: object) -> AsyncIterator[tuple[EventHubs, Reader]]:
    """A collector that acknowledges everything at once, until the block ends."""
    transport = await there.open(name, **changes)
    reader = Reader(transport)
    try:
        yield transport, reader
    finally:
        await transport.close()
        await asyncio.gather(reader.task, return_exceptions=True)


class Reader:
    """Takes what a transport delivers.

    Attributes:
        bodies: In order.
        ended: How the deliveries ended.
    """

    def __init__(self, transport: EventHubs) -> None:
        self.bodies: list[bytes] = []
        self.ended: BaseException | None = None
        self.task = asyncio.create_task(self._read(transport))

    async def _read(self, transport: EventHubs) -> None:
        try:
            async for delivery in transport.deliveries():
                self.bodies.append(delivery.body)
                await delivery.acknowledge()
        except SourceRefused as exc:
            self.ended = exc


def sequences(deliveries: list[Delivery]) -> list[int]:
    return [int(each.origin.locator.rpartition("/")[2]) for each in deliveries]


async def test_an_event_is_one_body_and_its_origin_names_hub_partition_number_and_offset(there: Site) -> None:
    there.server.hub.put(b"first", "3")
    event = there.server.hub.put(b"second", "3")
    transport = await there.open()
    found = await pull(transport.deliveries(), 2)
    await transport.close()
    assert [each.body for each in found] == [b"first", b"second"]
    assert found[1].origin.transport == "event_hubs"
    assert found[1].origin.locator == f"127.0.0.1:{there.server.port}/{HUB}/3/1"
    assert found[1].origin.version == event.offset


async def test_neighbours_of_one_line_each_travel_together_and_azure_formats_find_every_record(there: Site) -> None:
    record = {"time": "2026-11-26T10:00:00Z", "category": "Administrative", "operationName": "X", "resourceId": "/A"}
    sent = [records({**record, "n": n}, {**record, "n": n + 1}) for n in (0, 2, 4)]
    for body in sent:
        there.server.hub.put(body, "2")
    transport = await there.open()
    (found,) = await pull(transport.deliveries(), 1)
    await transport.close()
    assert found.body == b"".join(body + b"\n" for body in sent)
    assert found.origin.locator.endswith("/2/0-2")
    split = list(format_named("azure.activitylogs").split(found.body))
    assert [json.loads(each)["n"] for each in split] == list(range(6))


async def test_a_body_of_a_mebibyte_arrives_whole(there: Site) -> None:
    body = b"[" + b"7," * 500_000 + b"7]"
    there.server.hub.put(body)
    transport = await there.open()
    (found,) = await pull(transport.deliveries(), 1)
    await transport.close()
    assert found.body == body


async def test_the_checkpoint_of_a_partition_never_passes_an_event_without_acknowledgement(there: Site) -> None:
    for number in range(6):
        there.server.hub.put(b"%d" % number, "1")
    transport = await there.open()
    found = await pull(transport.deliveries(), 6)
    for each in [*found[:2], *found[3:]]:
        await each.acknowledge()
    await asyncio.sleep(1)
    assert await there.checkpoints() == {"1": 1}
    await found[2].acknowledge()
    await transport.close()
    assert await there.checkpoints() == {"1": 5}


async def test_a_collector_with_latest_leaves_out_what_was_there_before_its_first_start(there: Site) -> None:
    there.server.hub.put(b"old")
    async with reading(there, start="latest") as (_, reader):
        await until(lambda: len(there.server.hub.readers()) == 4, "all partitions are read")
        there.server.hub.put(b"new")
        await until(lambda: bool(reader.bodies), "the new event")
    assert reader.bodies == [b"new"]


async def test_a_start_at_the_end_leaves_out_nothing_that_comes_after_it_though_it_stops_before(there: Site) -> None:
    there.server.hub.put(b"old", "1")
    async with reading(there, start="latest") as (_, reader):
        await until(lambda: len(there.server.hub.readers()) == 4, "all partitions are read")
    assert reader.bodies == []
    there.server.hub.put(b"one", "1")
    there.server.hub.put(b"two", "2")  # of which nothing was read before
    async with reading(there, start="latest") as (_, reader):
        await until(lambda: len(reader.bodies) == 2, "what came meanwhile")
    assert sorted(reader.bodies) == [b"one", b"two"]
    assert there.warned == []


async def test_a_hub_that_was_made_anew_is_told_and_read_from_its_beginning(there: Site) -> None:
    for number in range(5):
        there.server.hub.put(b"old %d" % number)
    async with reading(there) as (_, reader):
        await until(lambda: len(reader.bodies) == 5, "five events")
    there.server.hub.make_anew()
    for number in range(8):
        there.server.hub.put(b"new %d" % number)
    async with reading(there) as (_, reader):
        await until(lambda: len(reader.bodies) == 8, "eight events")
    (warning,) = there.warned
    assert "made anew" in str(warning)
    assert await there.checkpoints() == {"0": 7}
    async with reading(there) as (_, reader):
        there.server.hub.put(b"last")
        await until(lambda: bool(reader.bodies), "the last event")
    assert reader.bodies == [b"last"]
    assert there.warned == [warning]


async def test_a_hub_that_is_made_anew_while_it_is_read_ends_the_collector(there: Site) -> None:
    there.server.hub.put(b"long before")
    there.server.hub.put(b"before")
    transport = await there.open()
    iterator = transport.deliveries()
    for each in await pull(iterator, 2):
        await each.acknowledge()
    await until(lambda: transport._runs["0"].partition.saved == 1, "the checkpoint")
    there.server.hub.make_anew()
    there.server.hub.first_offset = 1_000_000  # its first event lies behind the checkpoint's offset
    there.server.hub.put(b"after")
    with pytest.raises(SourceUnavailable, match="made anew"):
        await asyncio.wait_for(anext(iterator), 30)
    await transport.close()


@pytest.mark.parametrize(("first", "anew"), [(1, False), (0, True)])
async def test_what_was_saved_after_a_lost_link_began_anew_does_not_make_another_hub_of_it(
    there: Site, first: int, *, anew: bool
) -> None:
    for number in range(4):
        there.server.hub.put(b"%d" % number)
    transport = await there.open(batch_events=1)
    iterator = transport.deliveries()
    found = await pull(iterator, 4)
    await found[0].acknowledge()
    partition = transport._runs["0"].partition
    await until(lambda: partition.saved == 0, "the checkpoint")
    context = cast("PartitionContext", SimpleNamespace(partition_id="0"))
    transport._hub.checkpoints.sequences = {"0": 0}  # the SDK read it, and begins behind it
    await transport._on_open(context)
    transport.attached("0")
    for each in found[1:]:
        await each.acknowledge()
    await transport._save(partition)
    assert partition.saved == 3
    again = [SimpleNamespace(sequence_number=number) for number in range(first, 4)]
    await transport._take(context, cast("list[EventData]", again))
    assert (transport._broken is not None) is anew
    await transport.close()


async def test_no_more_events_are_taken_over_than_the_limit_until_some_are_acknowledged(there: Site) -> None:
    for number in range(200):
        there.server.hub.put(b"%d" % number)
    transport = await there.open(max_in_flight=7, prefetch=10)
    iterator = transport.deliveries()
    found = await pull(iterator, 7)
    assert await nothing_more(iterator)
    await transport.close()
    assert sequences(found) == list(range(7))


async def test_acknowledging_makes_room_and_everything_comes_in_order(there: Site) -> None:
    for number in range(200):
        there.server.hub.put(b"%d" % number)
    async with reading(there, max_in_flight=7, prefetch=10) as (_, reader):
        await until(lambda: len(reader.bodies) == 200, "200 events")
    assert reader.bodies == [b"%d" % number for number in range(200)]


async def test_two_processes_share_the_partitions_and_lose_nothing_when_one_ends(there: Site) -> None:
    sent: set[bytes] = set()

    def send(count: int) -> None:
        for number in range(count):
            body = b"%d" % (len(sent))
            there.server.hub.put(body, str(number % 4))
            sent.add(body)

    async with reading(there) as (_, first):
        send(40)
        await until(lambda: set(first.bodies) == sent, "the first 40 events")
        async with reading(there) as (_, second):
            await until(lambda: there.server.hub.attached >= 6, "two partitions went over")
            send(40)
            await until(lambda: {*first.bodies, *second.bodies} == sent, "the next 40 events")
            assert second.bodies
        send(40)
        await until(lambda: {*first.bodies, *second.bodies} == sent, "the last 40 events")
    assert there.warned == []


async def test_another_collector_on_the_same_group_and_container_is_refused_by_name(there: Site) -> None:
    async with reading(there, "activity"):
        with pytest.raises(SourceRefused, match="'activity' reads it") as refused:
            await there.open("sign-ins")
        assert "consumer group of its own" in refused.value.mend
        await (await there.open("activity")).close()
        there.server.hub.groups.add("other")
        await (await there.open("sign-ins", consumer_group="other")).close()


async def test_a_reader_with_checkpoints_elsewhere_ends_the_collector_with_its_name(there: Site) -> None:
    async with reading(there) as (_, reader):
        await until(lambda: len(there.server.hub.readers()) == 4, "all partitions are read")
        there.server.hub.steal(GROUP, "2", epoch=5)
        await until(lambda: reader.ended is not None, "the collector ends")
        there.server.hub.put(b"elsewhere", "0")
    assert isinstance(reader.ended, SourceRefused)
    assert "another reader of the consumer group 'skytrail'" in str(reader.ended)
    assert reader.ended.where.endswith("/2")
    assert all("another reader" in str(each) for each in there.warned)
    assert there.warned


async def test_two_collectors_with_containers_of_their_own_do_not_stall_each_other_unnoticed(there: Site) -> None:
    elsewhere = Site(there.server, there.azurite, there.directory)
    await elsewhere.make_container()
    async with reading(there) as (_, first), reading(elsewhere) as (_, second):
        await until(lambda: first.ended is not None or second.ended is not None, "one of them ends", 60)
    ended = first.ended or second.ended
    assert "another reader of the consumer group" in str(ended)


async def test_events_that_the_hub_forgot_before_they_were_read_are_told(there: Site) -> None:
    for number in range(3):
        there.server.hub.put(b"%d" % number)
    async with reading(there) as (_, reader):
        await until(lambda: len(reader.bodies) == 3, "three events")
    for number in range(3, 10):
        there.server.hub.put(b"%d" % number)
    there.server.hub.expire("0", 8)
    async with reading(there) as (_, reader):
        await until(lambda: reader.bodies == [b"8", b"9"], "what is left")
    (told,) = there.warned
    assert isinstance(told, SourceUnavailable)
    assert "5 events from number 3 on are gone" in str(told)


async def test_an_event_that_is_given_up_is_told_and_does_not_come_again(there: Site) -> None:
    there.server.hub.put(b"poison")
    transport = await there.open()
    (found,) = await pull(transport.deliveries(), 1)
    await found.reject("poison", retry=False)
    await transport.close()
    assert await there.checkpoints() == {"0": 0}
    (told,) = there.warned
    assert "given up: poison" in str(told)
