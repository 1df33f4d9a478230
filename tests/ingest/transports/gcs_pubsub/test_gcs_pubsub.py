"""Objects that a subscription announces as a source: fake-gcs-server tells Google's in-memory Pub/Sub server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingest.collector import Collector, Identity
from ingest.schema.errors import ConfigError, MalformedBody, SourceRefused
from ingest.transports.gcs_pubsub.inspection import inspect
from ingest.transports.gcs_pubsub.notifications import announced
from ingest.transports.gcs_pubsub.settings import GcsPubSubSettings
from ingest.transports.gcs_pubsub.transport import GcsPubSub
from ingest.transports.google_cloud.objects import ObjectRef
from tests.ingest.fakes import EAGER, NOW, LineFormat, MemoryPublisher, Told, until
from tests.ingest.transports.aws.faulty import Fault, faulty
from tests.ingest.transports.contract import BODIES, Harness, TransportContract, asking, opened, pull
from tests.ingest.transports.google_cloud.bucket import BUCKET, Bucket
from tests.ingest.transports.google_cloud.servers import running_fake_gcs, running_pstest
from tests.ingest.transports.pubsub.subscription import PROJECT, TOPIC, Subscription

LINES = b"".join(b'{"n":"%06d","filler":"%s"}\n' % (number, b"x" * 1000) for number in range(6000))  # two pieces


@dataclass
class Announced(Harness):
    """A bucket whose changes a subscription announces, and the place of a collector of both."""

    bucket: Bucket
    subscription: Subscription
    endpoint: str
    told: Told
    options: dict[str, object] = field(default_factory=dict)
    sent: int = 0

    def settings(self) -> GcsPubSubSettings:
        values: dict[str, object] = {
            "project": PROJECT,
            "subscription": "logs",
            "endpoint": self.subscription.address,
            "plaintext": True,
            "storage_endpoint": self.endpoint,
        }
        return GcsPubSubSettings.model_validate(values | self.options)

    async def open(self) -> GcsPubSub:
        return GcsPubSub(self.settings(), self.told.place, EAGER)

    async def send(self, bodies: list[bytes]) -> None:
        for body in bodies:
            self.sent += 1
            await self.bucket.write(f"cloudaudit/{self.sent:04}.json", body)

    async def announce(self, **attributes: str) -> None:
        """A message that the bucket did not send."""
        publisher = self.subscription.publisher
        await asyncio.to_thread(lambda: publisher.publish(TOPIC, b"{}", **attributes).result(timeout=10))


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Announced]:
    async with running_pstest() as pubsub:
        subscription = Subscription(pubsub, tmp_path)
        await asyncio.to_thread(subscription.create)
        async with running_fake_gcs(pubsub, TOPIC) as address:
            bucket = await asyncio.to_thread(Bucket, address)
            yield Announced(bucket, subscription, address, Told(tmp_path))
            bucket.close()
        await asyncio.to_thread(subscription.close)


class TestGcsPubSub(TransportContract):
    @pytest.fixture
    def harness(self, harness: Announced) -> Harness:
        return harness


async def test_an_object_in_pieces_is_acknowledged_with_its_last_one(harness: Announced) -> None:
    generation = await harness.bucket.write("large.json", LINES)
    async with opened(harness) as (_, iterator):
        first, second = await pull(iterator, 2)
        assert first.body + second.body == LINES
        assert second.origin.first_ordinal == first.body.count(b"\n")
        assert second.origin.version == str(generation)
        await second.acknowledge()
    async with opened(harness) as (_, iterator):
        for each in await pull(iterator, 2):
            await each.acknowledge()
        await asyncio.sleep(0.3)
    assert await harness.subscription.left() == []


async def test_what_is_no_new_object_or_outside_the_prefix_is_acknowledged(harness: Announced) -> None:
    harness.options["prefix"] = "cloudaudit/"
    await harness.bucket.write("other.json", BODIES[0])
    await harness.bucket.delete("other.json")
    async with opened(harness) as (_, iterator), asking(iterator):
        await asyncio.sleep(2)
    assert await harness.subscription.left() == []


async def test_a_message_that_is_no_notification_is_told_and_handed_back_later(harness: Announced) -> None:
    harness.options["retry_after_s"] = 0.2
    await harness.announce(kind="something else")
    async with opened(harness) as (_, iterator):
        async with asking(iterator):
            await until(lambda: len(harness.told.warnings) > 1)  # handed back, it came again
        assert "not of Cloud Storage (event type '', attributes: kind)" in str(harness.told.warnings[0])


async def test_an_object_that_is_gone_is_told_and_its_message_kept_for_the_dead_letter_policy(
    harness: Announced,
) -> None:
    await harness.announce(eventType="OBJECT_FINALIZE", bucketId=BUCKET, objectId="gone.json", objectGeneration="7")
    await harness.send(BODIES[:1])
    async with opened(harness) as (_, iterator):
        (only,) = await pull(iterator, 1)
        assert only.body == BODIES[0]
        await only.acknowledge()
        async with asking(iterator):
            await until(lambda: harness.told.warnings)
        assert f"{BUCKET}/gone.json" in str(harness.told.warnings[0])
        await asyncio.sleep(0.3)
    assert len(await harness.subscription.left()) == 1


async def test_an_object_that_can_not_be_read_now_is_read_again(harness: Announced) -> None:
    await harness.send(BODIES)
    with faulty(harness.endpoint) as proxy:
        harness.endpoint = proxy.endpoint
        proxy.faults += [Fault("0001.json", 2, 503, body=b"{}"), Fault("0002.json", 3, 429, body=b"{}")]
        async with opened(harness) as (_, iterator):
            assert sorted(each.body for each in await pull(iterator, 3)) == BODIES
    assert [fault.times for fault in proxy.faults] == [0, 0]


async def test_a_permission_that_is_missing_is_told_with_the_role_that_gives_it(harness: Announced) -> None:
    await harness.send(BODIES[:1])
    with faulty(harness.endpoint) as proxy:
        harness.endpoint = proxy.endpoint
        proxy.faults.append(Fault("0001.json", 99, 403, body=b"{}"))
        async with opened(harness) as (_, iterator), asking(iterator):
            await until(lambda: harness.told.warnings)
    assert "roles/storage.objectViewer" in harness.told.warnings[0].mend


async def test_a_collector_publishes_every_object_and_acknowledges_all(harness: Announced) -> None:
    bodies = [b"%d\n%d\n" % (number, number + 1) for number in range(0, 40, 2)]
    await harness.send([*bodies, b"!\n"])
    publisher = MemoryPublisher(["lost", "applied", "slow"])
    collector = Collector(
        Identity("g", "acme", LineFormat()),
        await harness.open(),
        publisher,
        put_object=lambda namespace, body: f"{namespace}/{len(body)}",
        clock=lambda: NOW,
        backoff=EAGER,
    )
    running = asyncio.create_task(collector.run())
    await until(lambda: collector.counts.bodies >= 21, 30)
    await asyncio.sleep(0.5)
    collector.stop()
    await asyncio.wait_for(running, 20)
    assert set(publisher.records) == {b"%d" % number for number in range(40)}
    assert [letter.body for letter in publisher.letters] == [b"!\n"]
    assert await harness.subscription.left() == []


async def test_a_subscription_that_is_not_there_is_refused(harness: Announced) -> None:
    harness.options["subscription"] = "other"
    source = await harness.open()
    with pytest.raises(SourceRefused, match="subscriptions/other; it does not exist"):
        await pull(source.deliveries(), 1)
    await source.close()


FINALIZED = {"eventType": "OBJECT_FINALIZE", "bucketId": "b", "objectId": "ä/1.json", "objectGeneration": "17"}


def test_a_notification_names_one_generation_with_its_size_and_checksum_where_it_tells_them() -> None:
    resource = json.dumps({"size": "12", "crc32c": "AAAAAA=="}).encode()
    assert announced(FINALIZED, resource) == ObjectRef("b", "ä/1.json", 17, 12, "AAAAAA==")
    assert announced(FINALIZED, b"") == ObjectRef("b", "ä/1.json", 17)
    assert announced(FINALIZED, b"\xff not JSON") == ObjectRef("b", "ä/1.json", 17)


@pytest.mark.parametrize("event", ["OBJECT_DELETE", "OBJECT_ARCHIVE", "OBJECT_METADATA_UPDATE"])
def test_what_happens_to_an_old_object_announces_nothing(event: str) -> None:
    assert announced(FINALIZED | {"eventType": event}, b"") is None


@pytest.mark.parametrize(
    "broken", [{"eventType": "ELSE"}, {"bucketId": ""}, {"objectId": ""}, {"objectGeneration": "²"}]
)
def test_a_notification_without_its_parts_is_none(broken: dict[str, str]) -> None:
    with pytest.raises(MalformedBody, match="not of Cloud Storage"):
        announced(FINALIZED | broken, b"")


def test_objects_are_not_read_in_the_clear_beyond_this_machine() -> None:
    settings = GcsPubSubSettings(project="p", subscription="s", storage_endpoint="http://storage.example.org")
    with pytest.raises(ConfigError, match="plaintext beyond loopback"):
        list(inspect(settings))
