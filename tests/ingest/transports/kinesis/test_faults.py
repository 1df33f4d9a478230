"""A cloud that throttles, fails, loses answers, refuses and forgets iterators, between a transport and kinesalite."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from dataclasses import replace

import pytest

from ingest.schema.errors import SourceRefused, SourceUnavailable
from tests.ingest.fakes import NOW, until
from tests.ingest.transports.aws.faulty import Fault, Faulty
from tests.ingest.transports.contract import asking, nothing_more, opened, pull
from tests.ingest.transports.kinesis.source import Source

BODIES = [b'{"n":%d}' % number for number in range(6)]
BUSY = {"status": 400, "code": "ProvisionedThroughputExceededException", "message": "Rate exceeded for shard"}
OLD = {"status": 400, "code": "ExpiredIteratorException", "message": "Iterator expired. The iterator was created at"}
ENDED = {"status": 400, "code": "ExpiredTokenException", "message": "The security token is expired"}
PORTAL = b"<html><body>Log in first<br></body></html>"
KMS = (
    "User: arn:aws:sts::123456789012:assumed-role/reader/skytrail is not authorized to perform: kms:Decrypt on "
    "resource: arn:aws:kms:eu-central-1:123456789012:key/1234 because no identity-based policy allows it"
)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("GetRecords", 5),
        Fault("GetRecords", 5, **BUSY),
        Fault("GetRecords", 1, kind="applied"),
        Fault("GetRecords", 2, **OLD),
        Fault("GetRecords", 1, **ENDED),
        Fault("GetShardIterator", 4, **BUSY),
        Fault("ListShards", 4, 400, "LimitExceededException"),
        Fault("GetRecords", 2, 200, body=PORTAL),
        Fault("GetShardIterator", 2, 200, body=PORTAL),
        Fault("ListShards", 2, 200, body=PORTAL),
    ],
    ids=lambda fault: f"{fault.asks} {fault.code} {fault.kind} {fault.body[:9].decode()}",
)
async def test_every_record_comes_once_and_in_order_whatever_the_cloud_answers_for_a_while(
    source: Source, proxy: Faulty, fault: Fault
) -> None:
    source.settings["batch_messages"] = 1
    await source.send(BODIES)
    proxy.faults.append(Fault(**vars(fault)))
    async with opened(source) as (_, iterator):
        assert [each.body for each in await pull(iterator, len(BODIES))] == BODIES
        assert await nothing_more(iterator)
    assert proxy.faults[0].times == 0
    assert source.told.warnings == []


async def test_an_iterator_that_expired_amid_the_records_is_replaced_by_one_after_the_last_record(
    source: Source, proxy: Faulty
) -> None:
    source.settings["batch_messages"] = 1
    await source.send(BODIES[:3])
    async with opened(source) as (_, iterator):
        found = await pull(iterator, 3)
        proxy.faults.append(Fault("GetRecords", 1, **OLD))
        await source.send(BODIES[3:])
        found += await pull(iterator, 3)
        assert await nothing_more(iterator)
    assert [each.body for each in found] == BODIES
    assert proxy.asked("GetShardIterator") == 2


async def test_a_stream_that_refuses_for_a_while_is_told_once_and_asked_again(source: Source, proxy: Faulty) -> None:
    await source.send(BODIES[:1])
    proxy.faults.append(Fault("GetRecords", 3, 400, "AccessDeniedException", KMS))
    async with opened(source) as (_, iterator):
        await pull(iterator, 1)
    (told,) = source.told.warnings
    assert isinstance(told, SourceRefused)
    assert "allow kms:Decrypt on arn:aws:kms:eu-central-1:123456789012:key/1234" in told.mend
    assert told.where == f"stream {source.name} shardId-000000000000"


async def test_a_caller_that_asks_for_nothing_is_not_overrun(source: Source, proxy: Faulty) -> None:
    large = b'{"n":"' + b"x" * 1_000_000 + b'"}'
    await source.send([large] * 24)
    async with opened(source) as (_, iterator):
        await pull(iterator, 1)
        before = proxy.asked("GetRecords")
        await asyncio.sleep(1)
        assert before <= proxy.asked("GetRecords") <= 3  # an answer holds at most 10 of these


async def test_a_reader_that_lags_by_half_the_retention_says_so_once(source: Source, proxy: Faulty) -> None:
    behind = b'{"Records":[],"NextShardIterator":"AAAA","MillisBehindLatest":50000000}'
    proxy.faults.append(Fault("GetRecords", 2, 200, body=behind))
    async with opened(source) as (_, iterator), asking(iterator):
        await until(lambda: source.told.warnings and not proxy.faults[0].times)
    told = [each for each in source.told.warnings if "behind" in each.what]
    assert len(told) == 1
    assert "13:53:20 behind, and the stream keeps records for 24 hours" in told[0].what


async def test_records_that_expired_while_the_cloud_could_not_be_read_are_told(source: Source, proxy: Faulty) -> None:
    now = NOW
    source.place = replace(source.told.place, clock=lambda: now)
    await source.send(BODIES[:1])
    async with opened(source) as (_, iterator):
        await (await pull(iterator, 1))[0].acknowledge()
        async with asking(iterator):
            asked = proxy.asked("GetRecords")
            await until(lambda: proxy.asked("GetRecords") > asked + 1)  # it was read to its end
            proxy.faults.append(Fault("GetRecords", 1000))
            await until(lambda: proxy.faults[0].times < 1000)
            now += dt.timedelta(hours=25)
            assert source.told.warnings == []
            proxy.faults[0].times = 0
            await until(lambda: source.told.warnings)
            asked = proxy.asked("GetRecords")
            await until(lambda: proxy.asked("GetRecords") > asked + 1)
    (told,) = source.told.warnings
    assert "2026-11-22T08:00:00Z to 2026-11-22T09:00:00Z is gone" in told.what
    assert told.where == f"stream {source.name} shardId-000000000000"


async def test_a_first_start_at_the_very_edge_of_what_the_stream_keeps_loses_nothing_and_tells_nothing(
    source: Source, proxy: Faulty
) -> None:
    begun = time.monotonic()
    source.place = replace(source.told.place, clock=lambda: NOW + dt.timedelta(seconds=time.monotonic() - begun))
    oldest = b'{"Records":[],"NextShardIterator":"AAAA","MillisBehindLatest":86400000}'
    proxy.faults.append(Fault("GetRecords", 4, 200, body=oldest))
    async with opened(source) as (_, iterator), asking(iterator):
        await until(lambda: not proxy.faults[0].times)
    assert [each.what for each in source.told.warnings if "is gone" in each.what] == []


async def test_an_iterator_that_expired_hides_no_loss_before_the_next_answer(source: Source, proxy: Faulty) -> None:
    now = NOW
    source.place = replace(source.told.place, clock=lambda: now)
    await source.send(BODIES[:1])
    far_behind = b'{"Records":[],"NextShardIterator":"AAAA","MillisBehindLatest":82800000}'
    async with opened(source) as (_, iterator):
        await (await pull(iterator, 1))[0].acknowledge()
        async with asking(iterator):
            proxy.faults.append(Fault("GetRecords", 1, 200, body=far_behind))
            proxy.faults.append(Fault("GetRecords", 1, **OLD))
            proxy.faults.append(Fault("GetRecords", 1000))
            await until(lambda: proxy.faults[2].times < 1000)
            now += dt.timedelta(hours=2)
            proxy.faults[2].times = 0
            await until(lambda: any("is gone" in each.what for each in source.told.warnings))
    (told,) = [each for each in source.told.warnings if "is gone" in each.what]
    assert "2026-11-21T09:00:00Z to 2026-11-21T10:00:00Z" in told.what


async def test_a_cloud_that_is_away_at_the_start_is_told(source: Source) -> None:
    source.endpoint = "http://127.0.0.1:1"
    with pytest.raises(SourceUnavailable):
        await source.open()
