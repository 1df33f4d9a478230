"""A bucket that is listed as a source, on fake-gcs-server."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import gzip
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import google_crc32c
import pytest

from ingest.collector import Collector, Identity
from ingest.schema.errors import ConfigError, SourceRefused
from ingest.transports.contract import Delivery
from ingest.transports.gcs_listing.inspection import inspect
from ingest.transports.gcs_listing.settings import GcsListingSettings
from ingest.transports.gcs_listing.transport import GcsListing, open_transport
from tests.ingest.fakes import EAGER, NOW, LineFormat, MemoryPublisher, Told, until
from tests.ingest.transports.aws.faulty import Fault, faulty
from tests.ingest.transports.contract import BODIES, Harness, TransportContract, asking, nothing_more, opened, pull
from tests.ingest.transports.google_cloud.bucket import BUCKET, Bucket
from tests.ingest.transports.google_cloud.servers import running_fake_gcs

LINES = b"".join(b'{"n":"%06d","filler":"%s"}\n' % (number, b"x" * 1000) for number in range(6000))  # two pieces


@dataclass
class Listed(Harness):
    """A bucket, and the place of a collector that lists it."""

    bucket: Bucket
    told: Told
    endpoint: str
    options: dict[str, object] = field(default_factory=dict)
    sent: int = 0

    def settings(self) -> GcsListingSettings:
        values: dict[str, object] = {"bucket": BUCKET, "storage_endpoint": self.endpoint, "poll_interval_s": 0.2}
        return GcsListingSettings.model_validate(values | self.options)

    async def open(self) -> GcsListing:
        return await open_transport(self.settings(), self.told.place)

    async def send(self, bodies: list[bytes]) -> None:
        for body in bodies:
            self.sent += 1
            await self.bucket.write(f"cloudaudit/{self.sent:04}.json", body)


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Listed]:
    async with running_fake_gcs() as address:
        bucket = await asyncio.to_thread(Bucket, address)
        yield Listed(bucket, Told(tmp_path), address)
        bucket.close()


async def collected(harness: Listed) -> list[Delivery]:
    """Everything that one look gives, acknowledged."""
    harness.options["once"] = True
    found: list[Delivery] = []
    async with opened(harness) as (_, iterator):
        async with asyncio.timeout(20):
            async for each in iterator:
                found.append(each)
                await each.acknowledge()
    return found


class TestGcsListing(TransportContract):
    @pytest.fixture
    def harness(self, harness: Listed) -> Harness:
        return harness


async def test_an_object_says_where_it_is_from_and_which_generation_it_was(harness: Listed) -> None:
    generation = await harness.bucket.write("a.json", BODIES[0])
    (found,) = await collected(harness)
    checksum = base64.b64encode(google_crc32c.value(BODIES[0]).to_bytes(4, "big")).decode()
    assert found.origin.locator == f"{BUCKET}/a.json"
    assert (found.origin.version, found.origin.etag) == (str(generation), checksum)


async def test_a_large_object_comes_in_pieces_and_goes_on_after_a_restart_where_it_was_acknowledged(
    harness: Listed,
) -> None:
    await harness.bucket.write("large.json", LINES)
    async with opened(harness) as (_, iterator):
        first, second = await pull(iterator, 2)
        assert first.body + second.body == LINES
        assert second.origin.first_ordinal == first.body.count(b"\n")
        await first.acknowledge()
    async with opened(harness) as (_, iterator):
        (again,) = await pull(iterator, 1)
        assert (again.body, again.origin) == (second.body, second.origin)
        await again.acknowledge()
        assert await nothing_more(iterator)


async def test_a_gzip_object_comes_whole_and_as_it_is_stored(harness: Listed) -> None:
    body = gzip.compress(LINES, 0, mtime=0)
    await harness.bucket.write("packed.json.gz", body, content_encoding="gzip")
    (found,) = await collected(harness)
    assert found.body == body


async def test_a_replaced_object_is_read_again_from_its_start(harness: Listed) -> None:
    await harness.bucket.write("a.json", BODIES[0])
    async with opened(harness) as (_, iterator):
        (first,) = await pull(iterator, 1)
        await first.acknowledge()
        await harness.bucket.write("a.json", BODIES[1])
        (second,) = await pull(iterator, 1)
        assert second.body == BODIES[1]


@pytest.mark.parametrize("replaced", [False, True])
async def test_an_object_that_goes_while_its_end_waits_for_kafka_was_read(harness: Listed, *, replaced: bool) -> None:
    await harness.bucket.write("large.json", LINES)
    found: list[Delivery] = []
    async with opened(harness) as (transport, iterator):

        async def take() -> None:
            async for each in iterator:
                found[len(found) :] = [each]

        taking = asyncio.create_task(take())
        await until(lambda: len(found) == 2)
        await found[0].acknowledge()
        transport._save()
        if replaced:
            await harness.bucket.write("large.json", BODIES[0])
        else:
            await harness.bucket.delete("large.json")
        await asyncio.sleep(1)  # some looks
        assert len(found) == 2
        await found[1].acknowledge()
        if replaced:
            await until(lambda: len(found) > 2)
            assert found[2].body == BODIES[0]
        else:
            await asyncio.sleep(2)  # until all is noted, and some looks
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    assert harness.told.warnings == []


@pytest.mark.parametrize("how", ["was replaced", "vanished"])
async def test_an_object_that_goes_before_its_end_was_read_is_told(harness: Listed, how: str) -> None:
    await harness.bucket.write("large.json", LINES)
    async with opened(harness) as (_, iterator):
        first, _ = await pull(iterator, 2)
        await first.acknowledge()
    if how == "vanished":
        await harness.bucket.delete("large.json")
        assert await collected(harness) == []
    else:
        await harness.bucket.write("large.json", BODIES[0])
        assert [each.body for each in await collected(harness)] == [BODIES[0]]
    (told,) = harness.told.warnings
    assert f"it {how} after {len(first.body)} bytes" in str(told)
    assert await collected(harness) == []
    assert harness.told.warnings == [told]


async def test_only_the_prefix_and_the_time_that_are_asked_for_are_read(harness: Listed) -> None:
    await harness.bucket.write("other/a.json", BODIES[0])
    await harness.bucket.write("cloudaudit/a.json", BODIES[1])
    harness.options["prefix"] = "cloudaudit/"
    now = dt.datetime.now(dt.UTC)
    harness.options["since"] = (now + dt.timedelta(hours=1)).isoformat()
    assert await collected(harness) == []
    harness.options |= {"since": now.date(), "until": (now + dt.timedelta(hours=1)).isoformat()}
    assert [each.body for each in await collected(harness)] == [BODIES[1]]


async def test_a_listing_of_many_pages_is_read_to_its_end(harness: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.transports.gcs_listing.bucket._PAGE", 2)
    bodies = [b'{"n":%d}\n' % number for number in range(7)]
    await harness.send(bodies)
    assert [each.body for each in await collected(harness)] == bodies


async def test_an_object_that_is_refused_is_told_and_hides_no_other(harness: Listed) -> None:
    await harness.send(BODIES)
    with faulty(harness.endpoint) as proxy:
        harness.endpoint = proxy.endpoint
        proxy.faults.append(Fault("0002.json", 99, 403, body=b"{}"))
        with pytest.raises(SourceRefused, match="1 objects could not be read"):
            await collected(harness)
        (warning,) = harness.told.warnings
        assert "0002.json" in warning.where
        assert "roles/storage.objectViewer" in warning.mend
        proxy.faults.clear()
        assert [each.body for each in await collected(harness)] == [BODIES[1]]


async def test_calls_that_fail_for_a_while_are_repeated(harness: Listed) -> None:
    await harness.send(BODIES)
    with faulty(harness.endpoint) as proxy:
        harness.endpoint = proxy.endpoint
        proxy.faults += [
            Fault("/o?", 1, 503, body=b"{}"),
            Fault("0001.json", 2, 503, body=b"{}"),
            Fault("0002.json", 2, 429, body=b"{}"),
            Fault("0003.json", 1, 200, body=b"cut"),
        ]
        assert sorted(each.body for each in await collected(harness)) == BODIES
        assert [fault.times for fault in proxy.faults] == [0, 0, 0, 0]


async def test_an_object_whose_bytes_are_not_those_of_its_checksum_is_not_delivered(
    harness: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.transports.gcs_listing.transport._PATIENCE_S", 0.2)
    await harness.bucket.write("a.json", b'{"n":1}\n')
    with faulty(harness.endpoint) as proxy:
        harness.endpoint = proxy.endpoint
        proxy.faults.append(Fault("a.json", 99, 200, body=b'{"n":2}\n'))
        with pytest.raises(SourceRefused, match="could not be read"):
            await collected(harness)
    assert "its CRC32C is" in str(harness.told.warnings[0])


async def test_a_bucket_that_is_not_there_is_refused_at_the_start(harness: Listed) -> None:
    harness.options["bucket"] = "nowhere"
    with pytest.raises(SourceRefused, match="it does not exist"):
        await harness.open()


async def test_a_checkpoint_that_can_not_be_written_is_told_and_written_later(harness: Listed) -> None:
    await harness.send(BODIES)
    async with opened(harness) as (_, iterator):
        for each in await pull(iterator, 3):
            await each.acknowledge()
        file = harness.told.directory / "checkpoints" / "mine.objects.sqlite"
        with sqlite3.connect(file, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asking(iterator):
                await until(lambda: harness.told.warnings)
            other.execute("ROLLBACK")
        assert "keeping checkpoint" in str(harness.told.warnings[0])
    assert await collected(harness) == []


async def test_a_collector_publishes_every_object_and_ends(harness: Listed) -> None:
    await harness.send([b"1\n2\n", b"!\n", b"3\n"])
    harness.options["once"] = True
    publisher = MemoryPublisher(["lost", "applied", "slow"])
    collector = Collector(
        Identity("g", "acme", LineFormat()),
        await harness.open(),
        publisher,
        put_object=lambda namespace, body: f"{namespace}/{len(body)}",
        clock=lambda: NOW,
        backoff=EAGER,
    )
    await asyncio.wait_for(collector.run(), 20)
    assert set(publisher.records) == {b"1", b"2", b"3"}
    assert {letter.body for letter in publisher.letters} == {b"!\n"}  # a lost answer may have been the letter's
    assert await collected(harness) == []


def test_logs_are_not_read_in_the_clear_beyond_this_machine() -> None:
    settings = GcsListingSettings(bucket="b", storage_endpoint="http://storage.example.org")
    with pytest.raises(ConfigError, match="plaintext beyond loopback"):
        list(inspect(settings))
