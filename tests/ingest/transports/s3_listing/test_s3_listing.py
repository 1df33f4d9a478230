"""What is listed, delivered, kept and tried again, on moto."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from ingest.schema.errors import ConfigError, SourceRefused, SourceUnavailable
from ingest.transports.contract import Delivery
from tests.ingest.fakes import until
from tests.ingest.transports.aws.faulty import Fault, Faulty, faulty
from tests.ingest.transports.contract import opened, pull
from tests.ingest.transports.s3_listing.source import BUCKET, Source

PORTAL = b"<html><body>Log in first<br></body></html>"
DENIED = {"status": 403, "code": "AccessDenied", "message": "Access Denied"}
ARCHIVED = {"status": 403, "code": "InvalidObjectState", "message": "not valid for the object's storage class"}


@pytest.fixture
def proxy(source: Source) -> Iterator[Faulty]:
    with faulty(source.aws.endpoint) as proxy:
        source.endpoint = proxy.endpoint
        yield proxy


def keys(found: list[Delivery]) -> list[str]:
    return [each.origin.locator.removeprefix(f"{BUCKET}/") for each in found]


async def test_everything_below_the_prefix_comes_in_order_and_the_source_ends(source: Source) -> None:
    source.put("a/2", "a/1", "a/ä b+c%20.json", "b/1")
    source.settings["prefix"] = "a/"
    found = await source.run()
    assert keys(found) == ["a/1", "a/2", "a/ä b+c%20.json"]
    assert [each.body.decode() for each in found] == keys(found)
    assert {each.origin.transport for each in found} == {"s3_listing"}
    assert all(each.origin.etag for each in found)


async def test_an_empty_bucket_ends_at_once(source: Source) -> None:
    assert await source.run() == []


async def test_more_keys_than_one_answer_holds_come_once_each(
    source: Source, proxy: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.transports.s3_listing.transport._ASKED_AT_ONCE", 30)
    names = [f"{number:03}" for number in range(61)]
    source.put(*names, b"x")
    source.settings["fetch_ahead"] = 16
    assert keys(await source.run()) == names
    assert proxy.asked("list-type=2") == 1 + 3


async def test_a_run_that_was_interrupted_goes_on_where_it_was(source: Source, proxy: Faulty) -> None:
    names = [f"{number:02}" for number in range(20)]
    source.put(*names)
    first = await source.run(most=7)
    read = proxy.asked("GET /trail/")
    second = await source.run()
    assert keys(first) + keys(second) == names
    assert proxy.asked("GET /trail/") - read == 13


async def test_what_is_in_work_at_a_crash_comes_again_and_nothing_else(source: Source) -> None:
    source.put("1", "2", "3")
    async with opened(source) as (_, iterator):
        first, second, third = await pull(iterator, 3)
        await first.acknowledge()
        await third.acknowledge()
        await until(lambda: source.checkpoint.exists() and b'"after": "1"' in source.checkpoint.read_bytes())
        kept = source.checkpoint.read_bytes()
        await second.acknowledge()
    source.checkpoint.write_bytes(kept)  # as a crash before the last second would have left it
    assert keys(await source.run()) == ["2", "3"]


async def test_a_run_after_a_finished_one_brings_what_was_written_since_with_an_hour_of_overlap(source: Source) -> None:
    source.put("old")
    assert keys(await source.run()) == ["old"]
    written_at: dt.datetime = source.aws.client("s3").head_object(Bucket=BUCKET, Key="old")["LastModified"]
    finish(source, written_at + dt.timedelta(hours=1))
    assert keys(await source.run()) == ["old"]
    finish(source, written_at + dt.timedelta(hours=1, milliseconds=1))
    await asyncio.sleep(max(0.0, (written_at + dt.timedelta(seconds=1) - dt.datetime.now(dt.UTC)).total_seconds()))
    source.put("a-new-one")
    assert keys(await source.run()) == ["a-new-one"]


def finish(source: Source, finished_at: dt.datetime) -> None:
    """Let the look that is finished have begun at a time."""
    document = json.loads(source.checkpoint.read_bytes())
    assert document["current"] is None
    source.checkpoint.write_text(json.dumps(document | {"finished_at": finished_at.isoformat()}))


async def test_another_range_is_read_from_its_beginning(source: Source) -> None:
    source.put("1", "2")
    assert keys(await source.run()) == ["1", "2"]
    source.settings["since"] = dt.date(2020, 1, 1)
    assert keys(await source.run()) == ["1", "2"]


async def test_objects_of_another_time_are_left_out_and_not_looked_at_twice(source: Source) -> None:
    source.put("a/2026/11/20/1", "a/2026/11/21/1", "a/2026/11/22/1", "z/undated")
    source.settings |= {"since": dt.date(2026, 11, 21), "until": dt.date(2026, 11, 22), "time_of": "key"}
    transport = await source.open()
    found = [each async for each in acknowledging(transport.deliveries())]
    await transport.close()
    assert keys(found) == ["a/2026/11/21/1"]
    document = json.loads(source.checkpoint.read_bytes())
    assert document["current"] is None


async def acknowledging(deliveries: AsyncIterator[Delivery]) -> AsyncIterator[Delivery]:
    async for delivery in deliveries:
        await delivery.acknowledge()
        yield delivery


@pytest.mark.parametrize(
    "fault",
    [
        Fault("list-type=2", 4),
        Fault("list-type=2", 4, 503, "SlowDown"),
        Fault("GET /trail/", 6, 503, "SlowDown"),
        Fault("GET /trail/", 1, kind="applied"),
        Fault("GET /trail/", 1, 400, "ExpiredToken"),
        Fault("list-type=2", 2, 200, body=PORTAL),
        Fault("GET /trail/", 2, 200, body=PORTAL),
    ],
    ids=lambda fault: f"{fault.asks} {fault.code} {fault.kind} {fault.body[:9].decode()}",
)
async def test_every_object_comes_once_whatever_the_cloud_answers_for_a_while(
    source: Source, proxy: Faulty, fault: Fault
) -> None:
    source.put("1", "2", "3")
    transport = await source.open()
    proxy.faults.append(Fault(**vars(fault)))
    found = [each async for each in acknowledging(transport.deliveries())]
    await transport.close()
    assert keys(found) == ["1", "2", "3"]
    assert proxy.faults[0].times == 0


async def test_an_object_that_is_overwritten_between_listing_and_reading_is_told(source: Source) -> None:
    names = [str(number) for number in range(6)]
    source.put(*names)
    source.settings["fetch_ahead"] = 1
    async with opened(source) as (_, iterator):
        (first,) = await pull(iterator, 1)
        source.put(names[-1], b"other")
        found = [first, *await pull(iterator, 5)]
        for each in found:
            await each.acknowledge()
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)
    assert [each.body for each in found] == [*(name.encode() for name in names[:-1]), b"other"]
    (told,) = source.told.warnings
    assert "overwritten before it was read" in told.what
    assert told.where == f"{BUCKET}/5"


@pytest.mark.parametrize("refusal", [DENIED, ARCHIVED], ids=["denied", "archived"])
async def test_what_can_not_be_read_ends_the_run_with_an_error_and_is_tried_again_by_the_next(
    source: Source, proxy: Faulty, refusal: dict[str, object]
) -> None:
    source.put("1", "2", "3")
    proxy.faults.append(Fault("GET /trail/2", 1, **refusal))  # type: ignore[arg-type]
    with pytest.raises(SourceRefused, match="reading 1 of the objects: 2: ") as told:
        await source.run()
    assert "run it again" in told.value.mend
    assert keys(await source.run(most=1)) == ["2"]
    assert json.loads(source.checkpoint.read_bytes())["failed"] == {}


async def test_what_was_given_up_counts_as_not_read(source: Source) -> None:
    source.put("1")
    async with opened(source) as (_, iterator):
        (found,) = await pull(iterator, 1)
        await found.reject("the archive has no room", retry=False)
        with pytest.raises(SourceRefused, match="given up: the archive has no room"):
            await anext(iterator)


async def test_a_bucket_of_which_nothing_may_be_read_ends_the_run_early(
    source: Source, proxy: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.transports.s3_listing.transport._MOST_FAILURES", 5)
    source.put(*(f"{number:02}" for number in range(60)))
    proxy.faults.append(Fault("GET /trail/", 999, **DENIED))  # type: ignore[arg-type]
    with pytest.raises(SourceRefused, match="of the objects"):
        await source.run()
    assert proxy.asked("GET /trail/") < 60


async def test_a_bucket_that_does_not_exist_is_refused_at_the_start(source: Source) -> None:
    source.aws.client("s3").delete_bucket(Bucket=BUCKET)
    with pytest.raises(SourceRefused, match="NoSuchBucket") as told:
        await source.open()
    assert "bucket's name" in told.value.mend


async def test_a_cloud_that_is_away_at_the_start_is_told(source: Source) -> None:
    source.endpoint = "http://127.0.0.1:1"
    with pytest.raises(SourceUnavailable):
        await source.open()


async def test_a_damaged_checkpoint_ends_the_start_and_says_what_to_do(source: Source) -> None:
    source.checkpoint.parent.mkdir()
    source.checkpoint.write_text("{")
    with pytest.raises(ConfigError, match="reading checkpoint") as told:
        await source.open()
    assert "move it away" in told.value.mend
