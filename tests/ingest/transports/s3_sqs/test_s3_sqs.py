"""Announcements on their ways, and what becomes of messages, on moto."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ingest.schema.errors import MalformedBody, SourceRefused
from ingest.transports.contract import Delivery
from ingest.transports.registry import as_collector, inspect
from ingest.transports.s3_sqs.settings import S3SqsSettings
from ingest.transports.s3_sqs.transport import open_transport
from tests.ingest.fakes import until
from tests.ingest.transports.aws.servers import REGION, Aws, arn
from tests.ingest.transports.contract import asking, nothing_more, opened, pull
from tests.ingest.transports.s3_sqs.source import BUCKET, Source, nothing_more_until_dead

ROLE = "arn:aws:iam::222222222222:role/trail-reader"


@pytest.fixture
def source(aws: Aws, tmp_path: Path) -> Source:
    return Source.made(aws, tmp_path)


async def collected(source: Source, count: int) -> list[Delivery]:
    """Pull and acknowledge; then the transport is closed."""
    async with opened(source) as (_, iterator):
        found = await pull(iterator, count)
        for each in found:
            await each.acknowledge()
    return found


async def none_left(source: Source) -> None:
    await until(lambda: source.counts() == (0, 0))


@pytest.mark.parametrize("raw", [False, True], ids=["wrapped", "raw"])
async def test_a_topic_may_lie_between(aws: Aws, tmp_path: Path, *, raw: bool) -> None:
    url = aws.queue("files")
    aws.bucket(BUCKET)
    topic = aws.client("sns").create_topic(Name="files")["TopicArn"]
    attributes = {"RawMessageDelivery": "true"} if raw else {}
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("sqs", "files"), Attributes=attributes)
    aws.announce(BUCKET, topic="files")
    source = Source(aws, tmp_path, url)
    source.put("a b+c.json", b"{}\n")
    (found,) = await collected(source, 1)
    assert (found.origin.locator, found.body) == ("trail/a b+c.json", b"{}\n")
    await none_left(source)


async def test_the_event_bus_may_lie_between(aws: Aws, tmp_path: Path) -> None:
    url = aws.queue("files")
    aws.bucket(BUCKET)
    bus = aws.client("events")
    pattern = json.dumps({"source": ["aws.s3"], "detail-type": ["Object Created"]})
    bus.put_rule(Name="files", EventPattern=pattern, State="ENABLED")
    bus.put_targets(Rule="files", Targets=[{"Id": "queue", "Arn": arn("sqs", "files")}])
    aws.announce(BUCKET, events=True)
    source = Source(aws, tmp_path, url)
    source.put("AWSLogs/1.json", b"{}\n")
    (found,) = await collected(source, 1)
    assert found.origin.locator == "trail/AWSLogs/1.json"
    await none_left(source)


async def test_cloudtrail_may_name_several_objects_in_one_message(source: Source) -> None:
    for key in ("one", "two"):
        source.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    source.purge()
    source.post(json.dumps({"s3Bucket": BUCKET, "s3ObjectKey": ["one", "two"]}))
    async with opened(source) as (_, iterator):
        first, second = await pull(iterator, 2)
        await first.acknowledge()
        await asyncio.sleep(0.3)
        assert source.counts() == (0, 1)  # the message stays until both objects are safe
        await second.acknowledge()
        await none_left(source)


async def test_the_test_event_of_s3_is_taken_quietly(source: Source) -> None:
    assert source.counts() == (1, 0)  # S3 sent it when the bucket was set up
    async with opened(source) as (_, iterator), asking(iterator):
        await none_left(source)
    assert source.told.warnings == []


async def test_the_announced_version_is_read_and_kept_as_origin(aws: Aws, tmp_path: Path) -> None:
    source = Source.made(aws, tmp_path, versions=True)
    first = source.put("1.json", b"first")
    thing = {"key": "1.json", "size": 5, "eTag": first["ETag"].strip('"'), "versionId": first["VersionId"]}
    source.put("1.json", b"second")
    source.purge()
    part = {"bucket": {"name": BUCKET}, "object": thing}
    source.post(json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": part}]}))
    (found,) = await collected(source, 1)
    assert found.body == b"first"
    assert (found.origin.version, found.origin.etag) == (first["VersionId"], first["ETag"].strip('"'))
    assert found.origin.transport == "s3_sqs"


async def test_content_that_was_overwritten_before_it_was_read_is_told(source: Source) -> None:
    source.put("1.json", b"first")
    source.put("1.json", b"second")
    found = await collected(source, 2)
    assert {each.body for each in found} == {b"second"}
    assert [type(each) for each in source.told.warnings] == [SourceRefused]
    assert "its first content is lost" in str(source.told.warnings[0])


async def test_a_missing_object_is_a_failure_and_ends_in_the_dead_letter_queue(source: Source) -> None:
    source.put("there", b"body")
    source.purge()
    source.post(json.dumps({"s3Bucket": BUCKET, "s3ObjectKey": ["missing", "there"]}))
    async with opened(source) as (_, iterator):
        async with asyncio.timeout(20):
            for _ in range(3):  # as often as the redrive policy allows; the other object comes each time
                delivery = await anext(iterator)
                assert delivery.body == b"body"
                await delivery.acknowledge()
        assert await nothing_more_until_dead(iterator, source)
    told = [each for each in source.told.warnings if isinstance(each, SourceRefused)]
    assert len(told) == 3
    assert told[0].where == "trail/missing"
    assert "NoSuchKey" in told[0].what
    assert "received once" in told[0].what
    assert "received 3 times" in told[2].what
    assert "restore it" in told[0].mend


async def test_a_message_that_is_no_notification_is_told_and_ends_in_the_dead_letter_queue(source: Source) -> None:
    source.post("hello")
    source.put("1.json", b"body")
    async with opened(source) as (_, iterator):
        (found,) = await pull(iterator, 1)
        await found.acknowledge()
        assert await nothing_more_until_dead(iterator, source)
    assert {type(each) for each in source.told.warnings} == {MalformedBody}
    assert source.queue_url in source.told.warnings[0].where


async def test_what_was_given_up_leaves_its_message_in_the_queue(source: Source) -> None:
    await source.send([b"body"])
    source.settings = {"retry_after_s": 600}
    async with opened(source) as (_, iterator):
        (found,) = await pull(iterator, 1)
        await found.reject("the archive has no room", retry=False)
        assert await nothing_more(iterator)
    assert sum(source.counts()) == 1
    assert "given up: the archive has no room" in str(source.told.warnings[-1])


async def test_a_message_stays_hidden_while_its_object_is_in_work(source: Source) -> None:
    source.settings = {"visibility_s": 5}
    await source.send([b"body"])
    async with opened(source) as (_, iterator):
        (found,) = await pull(iterator, 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7):
                await anext(iterator)
        await found.acknowledge()


async def test_a_stop_makes_what_is_in_work_visible_at_once(source: Source) -> None:
    await source.send([b"%d" % number for number in range(8)])
    source.settings = {"visibility_s": 600}
    async with opened(source) as (_, iterator):
        first, *_ = await pull(iterator, 4)
        await first.acknowledge()
        assert source.counts()[1] >= 4
    assert source.counts() == (7, 0)


async def test_a_caller_that_asks_for_nothing_is_not_overrun(source: Source) -> None:
    await source.send([b"%d" % number for number in range(40)])
    source.settings = {"fetch_ahead": 2}
    async with opened(source) as (_, iterator):
        await pull(iterator, 1)
        await asyncio.sleep(1)
        assert source.counts()[1] <= 20  # two questions of ten


async def test_an_object_announced_twice_comes_twice_and_leaves_nothing(source: Source) -> None:
    source.put("1.json", b"body")
    source.post(json.dumps({"s3Bucket": BUCKET, "s3ObjectKey": ["1.json"]}))
    found = await collected(source, 2)
    assert [each.body for each in found] == [b"body", b"body"]
    await none_left(source)


async def test_an_empty_object_is_done_at_once(source: Source) -> None:
    source.put("empty", b"")
    async with opened(source) as (_, iterator), asking(iterator):
        await none_left(source)
    assert source.told.warnings == []


async def test_an_object_of_lines_comes_in_pieces_that_say_where_they_begin(source: Source) -> None:
    lines = [b'{"n":%d,"pad":"%s"}\n' % (number, b"x" * 1000) for number in range(9000)]
    source.put("lines.json", b"".join(lines))
    found = await collected(source, 3)
    assert b"".join(each.body for each in found) == b"".join(lines)
    assert [each.origin.first_ordinal for each in found] == [
        0,
        found[0].body.count(b"\n"),
        found[0].body.count(b"\n") + found[1].body.count(b"\n"),
    ]
    assert len({each.origin.etag for each in found}) == 1
    await none_left(source)


async def test_a_large_document_comes_whole_and_one_beyond_the_limit_is_refused(source: Source) -> None:
    document = json.dumps({"Records": ["x" * 100] * 60_000}, indent=1).encode()
    assert len(document) > 4 * 1024 * 1024
    source.put("large.json", document)
    (found,) = await collected(source, 1)
    assert found.body == document
    source.told.limit = 5_000_000
    source.put("large.json", document)
    async with opened(source) as (_, iterator):
        assert await nothing_more_until_dead(iterator, source)
    assert "the limit is 5000000" in str(source.told.warnings[-1])


async def test_a_role_of_another_account_is_taken(aws: Aws, tmp_path: Path) -> None:
    taken = aws.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
    theirs = Aws(aws.endpoint, taken)
    url = theirs.queue("files")
    theirs.bucket(BUCKET)
    theirs.announce(BUCKET, queue="files", account="222222222222")
    source = Source(theirs, tmp_path, url, settings={"role_arn": ROLE, "external_id": "a-word-of-sixteen"})
    source.put("1.json", b"body")
    (found,) = await collected(source, 1)
    assert found.body == b"body"


async def test_a_queue_that_does_not_exist_is_refused_at_the_start(source: Source) -> None:
    source.queue_url = source.queue_url.replace("files", "slip")
    with pytest.raises(SourceRefused, match="queue_url"):
        await source.open()


async def test_a_queue_without_dead_letter_queue_is_told(source: Source) -> None:
    source.queue_url = source.queue_url.replace("files", "files-dead")
    async with opened(source):
        pass
    assert "no dead-letter queue" in str(source.told.warnings[0])


async def test_the_region_follows_from_the_address_of_the_queue(source: Source, aws: Aws) -> None:
    url = f"https://sqs.{REGION}.amazonaws.com/123456789012/files"
    transport = await open_transport(S3SqsSettings(queue_url=url, endpoint_url=aws.endpoint), source.told.place)
    await transport.close()


def test_an_address_that_still_has_a_place_to_fill_is_found_by_the_look_at_the_settings() -> None:
    def collector(**own: str) -> Any:
        return as_collector({"transport": "s3_sqs", "format": "aws.cloudtrail", "s3_sqs": own})

    address = "https://sqs.eu-central-1.amazonaws.com/{}/files"
    assert [each.state for each in inspect(collector(queue_url=address.format("<account>")))] == ["fail"]
    ready = collector(queue_url=address.format("123456789012"), role_arn="arn:aws:iam::<account>:role/x")
    assert [each.state for each in inspect(ready)] == ["fail"]
    assert [each.state for each in inspect(collector(queue_url=address.format("123456789012")))] == ["ok"]


async def test_gzip_comes_as_it_lies_there(source: Source) -> None:
    body = gzip.compress(b'{"Records":[]}')
    source.put("1.json.gz", body)
    (found,) = await collected(source, 1)
    assert found.body == body
