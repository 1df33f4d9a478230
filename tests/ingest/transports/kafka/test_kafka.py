"""A Kafka topic as a source, on a real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError

from ingest.collector import Collector, Identity
from ingest.schema.errors import ConfigError, SourceRefused
from ingest.transports.kafka.transport import KafkaSource
from skytrail.local.engines import EngineState
from tests.ingest.fakes import EAGER, NOW, LineFormat, MemoryPublisher, until
from tests.ingest.transports.contract import BODIES, Harness, TransportContract, opened, pull
from tests.ingest.transports.kafka.topic import Topic

pytestmark = pytest.mark.engines


@pytest.fixture
async def topic(engines: EngineState, tmp_path: Path) -> AsyncIterator[Topic]:
    topic = Topic(engines, tmp_path)
    await topic.create()
    yield topic
    await topic.drop()


def numbered(first: int, count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(first, first + count)]


class TestKafkaSource(TransportContract):
    @pytest.fixture
    def harness(self, topic: Topic) -> Harness:
        topic.options["batch_messages"] = 1
        return topic


async def test_neighbours_travel_as_one_body_that_names_its_offsets(topic: Topic) -> None:
    await topic.send([*numbered(0, 3), b"oops", *numbered(3, 2), None])
    async with opened(topic) as (_, iterator):
        found = await pull(iterator, 4)
    assert [(each.body, each.origin.locator.removeprefix(topic.name)) for each in found] == [
        (b'{"n":0}\n{"n":1}\n{"n":2}\n', "/0/0-2"),
        (b"oops", "/0/3"),
        (b'{"n":3}\n{"n":4}\n', "/0/4-5"),
        (b"", "/0/6"),
    ]


async def test_only_what_is_acknowledged_without_a_gap_is_committed(topic: Topic) -> None:
    topic.options["batch_messages"] = 2
    await topic.send(numbered(0, 6))
    async with opened(topic) as (_, iterator):
        first, second, third = await pull(iterator, 3)
        await second.acknowledge()
        await third.acknowledge()
        await asyncio.sleep(0.5)
        assert await topic.committed() == {0: 0}
        await first.acknowledge()
        await asyncio.sleep(0.5)
        assert await topic.committed() == {0: 6}
    await topic.send(numbered(6, 1))
    async with opened(topic) as (_, iterator):
        (next_one,) = await pull(iterator, 1)
        assert next_one.body == b'{"n":6}'


async def test_a_message_larger_than_a_fetch_arrives_whole(topic: Topic) -> None:
    topic.options["fetch_max_bytes"] = 64 * 1024
    large = b'{"n":"' + b"x" * 5_000_000 + b'"}'
    await topic.send([b'{"n":0}', large, b'{"n":1}'])
    async with opened(topic) as (_, iterator):
        assert [each.body for each in await pull(iterator, 3)] == [b'{"n":0}', large, b'{"n":1}']


async def test_what_the_topic_forgot_before_it_was_read_is_told_and_the_rest_is_read(topic: Topic) -> None:
    topic.options["batch_messages"] = 1
    await topic.send(numbered(0, 5))
    async with opened(topic) as (_, iterator):
        (first,) = await pull(iterator, 1)
        await first.acknowledge()
    await topic.delete_before(3)
    async with opened(topic) as (_, iterator):
        assert [each.body for each in await pull(iterator, 2)] == numbered(3, 2)
    (warning,) = topic.told.warnings
    assert "2 messages were deleted before they were read" in str(warning)
    assert warning.where == f"{topic.name}/0/1"


@pytest.mark.parametrize("start_at", ["earliest", "latest"])
async def test_a_topic_that_was_made_anew_is_told_and_read_from_its_beginning(topic: Topic, start_at: str) -> None:
    topic.options["start_at"] = start_at
    await began(await topic.open(), topic, 1)
    await topic.send(numbered(0, 5))
    async with opened(topic) as (_, iterator):
        for each in await pull(iterator, 1):
            await each.acknowledge()
    await topic.drop()
    await asyncio.sleep(1)
    await topic.create()
    await topic.send(numbered(5, 2))
    async with opened(topic) as (_, iterator):
        assert [each.body for each in await pull(iterator, 1)] == [b"".join(each + b"\n" for each in numbered(5, 2))]
    (warning,) = topic.told.warnings
    assert "the brokers forgot how far it was read" in str(warning)
    assert warning.where == f"{topic.name}/0"


async def test_of_transactions_what_was_committed_comes_and_their_markers_hold_nothing_back(topic: Topic) -> None:
    await topic.transact(numbered(0, 2), commit=True)
    await topic.transact(numbered(2, 2), commit=False)
    await topic.transact(numbered(4, 2), commit=True)
    async with opened(topic) as (_, iterator):
        found = await pull(iterator, 2)
        for each in found:
            await each.acknowledge()
    assert [(each.body, each.origin.locator.removeprefix(topic.name)) for each in found] == [
        (b'{"n":0}\n{"n":1}\n', "/0/0-1"),
        (b'{"n":4}\n{"n":5}\n', "/0/6-7"),
    ]
    assert await topic.committed() == {0: 8}
    await topic.send(numbered(6, 1))
    async with opened(topic) as (_, iterator):
        assert [each.body for each in await pull(iterator, 1)] == numbered(6, 1)
    assert topic.told.warnings == []


async def test_a_group_without_an_offset_may_begin_at_the_end(topic: Topic) -> None:
    await topic.send(numbered(0, 2))
    source = await topic.open(start_at="latest")
    pulling = asyncio.ensure_future(pull(source.deliveries(), 1))
    await until(lambda: source._consumer is not None)
    await asyncio.sleep(1)
    await topic.send(numbered(2, 1))
    assert [each.body for each in await pulling] == numbered(2, 1)
    await source.close()


async def began(source: KafkaSource, topic: Topic, partitions: int) -> None:
    """Wait until every partition was begun; nothing may have come of them."""
    pulling = asyncio.ensure_future(anext(source.deliveries()))
    async with asyncio.timeout(90):  # the first group of a new Kafka waits until it has made its own topic
        found: dict[int, int] = {}
        while len(found) < partitions:
            await asyncio.sleep(0.1)
            with contextlib.suppress(KafkaError):
                found = await topic.committed()
    assert not pulling.done()
    pulling.cancel()
    await asyncio.wait({pulling})
    await source.close()


async def test_a_start_at_the_end_leaves_out_nothing_that_comes_after_it_though_it_stops_before(
    engines: EngineState, tmp_path: Path
) -> None:
    topic = Topic(engines, tmp_path, {"start_at": "latest"}, partitions=2)
    await topic.create()
    await topic.send(numbered(0, 2), partition=0)
    await began(await topic.open(), topic, 2)
    (warning,) = topic.told.warnings
    assert "begins at the end and leaves 2 messages out" in str(warning)
    assert warning.where == f"{topic.name}/0/2"
    await topic.send(numbered(2, 1), partition=0)
    await topic.send(numbered(3, 1), partition=1)  # of which nothing was read before
    async with opened(topic) as (_, iterator):
        found = sorted(each.body for each in await pull(iterator, 2))
    assert found == numbered(2, 2)
    assert topic.told.warnings == [warning]
    await topic.drop()


async def test_a_partition_that_is_added_later_is_read_from_its_first_message_though_others_began_at_the_end(
    topic: Topic,
) -> None:
    topic.options["start_at"] = "latest"
    await began(await topic.open(), topic, 1)
    await topic.add_partitions(2)
    await topic.send(numbered(0, 2), partition=1)
    async with opened(topic) as (_, iterator):
        assert [each.body for each in await pull(iterator, 1)] == [b'{"n":0}\n{"n":1}\n']
    assert topic.told.warnings == []


async def test_when_another_joins_and_leaves_every_message_is_acknowledged_by_someone(
    engines: EngineState, tmp_path: Path
) -> None:
    topic = Topic(engines, tmp_path, {"batch_messages": 5}, partitions=4)
    await topic.create()
    publisher = MemoryPublisher()
    total = 400

    def collecting(source: KafkaSource) -> Collector:
        return Collector(
            Identity("k", "acme", LineFormat()),
            source,
            publisher,
            put_object=lambda namespace, body: f"{namespace}/{len(body)}",
            clock=lambda: NOW,
            backoff=EAGER,
        )

    first, second = collecting(await topic.open()), collecting(await topic.open())
    tasks = [asyncio.create_task(first.run())]
    for round_ in range(4):
        for partition in range(4):
            await topic.send(numbered(round_ * 100 + partition * 25, 25), partition)
        if round_ == 1:
            tasks.append(asyncio.create_task(second.run()))
        if round_ == 3:
            await until(lambda: second.counts.bodies > 0, 30)
            second.stop()
            await tasks.pop()
    await until(lambda: set(publisher.records) == set(numbered(0, total)), 40)
    await asyncio.sleep(0.5)
    first.stop()
    await tasks.pop()
    assert await topic.committed() == dict.fromkeys(range(4), total // 4)
    await topic.drop()


async def test_what_is_acknowledged_after_a_rebalance_counts_for_nothing_and_comes_again(topic: Topic) -> None:
    topic.options["batch_messages"] = 1
    await topic.send(BODIES)
    old, new = await topic.open(), await topic.open()
    first = old.deliveries()
    held = await pull(first, 3)
    before = old._assignment.generation
    waiting = [asyncio.ensure_future(anext(iterator)) for iterator in (first, new.deliveries())]
    await until(lambda: old._assignment.generation >= before + 3, 20)  # revoked, forgotten, assigned
    for each in held:
        await each.acknowledge()
    await asyncio.sleep(0.5)
    assert await topic.committed() == {0: 0}
    done, _ = await asyncio.wait(waiting, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    assert [each.result().body for each in done] == BODIES[:1]
    await old.close()
    await new.close()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_wrong_password_is_named_and_is_not_shown(topic: Topic) -> None:
    topic.password_file.write_text("wrong-password")
    source = await topic.open()
    with pytest.raises(SourceRefused, match="password_file") as raised:
        await pull(source.deliveries(), 1)
    assert "wrong-password" not in str(raised.value)
    await source.close()
    topic.password_file.write_text(topic.engines.kafka_password)


async def test_a_new_password_is_used_without_a_restart(topic: Topic) -> None:
    async with opened(topic) as (source, iterator):
        await topic.send(numbered(0, 1))
        (first,) = await pull(iterator, 1)
        await first.acknowledge()
        before = source._consumer  # type: ignore[attr-defined]
        topic.password_file.write_text(topic.engines.kafka_password)
        await topic.send(numbered(1, 1))
        (second,) = await pull(iterator, 1)
        assert second.body == b'{"n":1}'
        assert source._consumer is not before  # type: ignore[attr-defined]


async def test_a_topic_that_is_not_there_is_named(topic: Topic) -> None:
    source = await topic.open(topics=[f"{topic.name}.missing"])
    with pytest.raises(SourceRefused, match=r"do not know .*\.missing"):
        await asyncio.wait_for(anext(source.deliveries()), 30)
    await source.close()


async def test_brokers_that_are_away_are_told_and_a_close_does_not_wait_for_them(topic: Topic) -> None:
    before = asyncio.all_tasks()
    source = await topic.open(bootstrap_servers="127.0.0.1:1")
    source._backoff = EAGER.__class__(alarm_after_s=0, on_alarm=lambda error, _: topic.told.warnings.append(error))
    iterator = source.deliveries()
    waiting = asyncio.ensure_future(anext(iterator))
    await until(lambda: topic.told.warnings)
    assert "connecting to Kafka" in str(topic.told.warnings[0])
    await source.close()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 5)
    assert asyncio.all_tasks() == before


async def test_logs_do_not_travel_unencrypted_unless_it_is_said(topic: Topic) -> None:
    with pytest.raises(ConfigError, match="unencrypted"):
        await topic.open(bootstrap_servers="broker.example.org:9092", security_protocol="PLAINTEXT")
    with pytest.raises(ConfigError, match="reading password"):
        await topic.open(security_protocol="SASL_SSL", password_file=topic.directory / "nothing")
