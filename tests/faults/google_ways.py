"""Sources of Google Cloud for the fault tests: a collector reads what is put there, through services that fail."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import random
import sqlite3
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from tests.faults.killing import REPEATED
from tests.ingest.transports.aws.faulty import Fault, Faulty, faulty
from tests.ingest.transports.google_cloud.bucket import BUCKET, Bucket
from tests.ingest.transports.google_cloud.servers import PubSub, running_fake_gcs, running_pubsub
from tests.ingest.transports.relay import Relay

PROJECT = "acme-test"
TOPIC = f"projects/{PROJECT}/topics/logs"
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/logs"
LOG = f"projects/{PROJECT}/logs/cloudaudit.googleapis.com%2Factivity"
FAULTS = ("StreamingPull=14*1", "Acknowledge=14*3", "ModifyAckDeadline=14*2")
_BENIGN = ("google.iam.admin.v1.GetRole", "storage.buckets.list")
_HOSTILE = "google.logging.v2.ConfigServiceV2.DeleteSink"


def audit(rng: random.Random, count: int) -> dict[str, bytes]:
    """Entries of the audit log by their ids; about one in twenty matches a rule."""
    now = dt.datetime.now(dt.UTC)
    return dict(_entry(rng, now) for _ in range(count))


def _entry(rng: random.Random, now: dt.datetime) -> tuple[str, bytes]:
    own = uuid.UUID(int=rng.getrandbits(128)).hex
    moment = (now - dt.timedelta(seconds=rng.randrange(1200))).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    entry = {
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "status": {},
            "authenticationInfo": {"principalEmail": rng.choice(("mara@orchard.example", "ida@orchard.example"))},
            "requestMetadata": {"callerIp": f"198.51.100.{rng.randrange(1, 255)}"},
            "serviceName": "logging.googleapis.com",
            "methodName": _HOSTILE if rng.random() < 0.05 else rng.choice(_BENIGN),
            "resourceName": f"projects/{PROJECT}/sinks/s{rng.randrange(50)}",
        },
        "insertId": own,
        "resource": {"type": "logging_sink", "labels": {"project_id": PROJECT}},
        "timestamp": moment,
        "severity": "NOTICE",
        "logName": LOG,
        "receiveTimestamp": moment,
    }
    return f"{own}|{moment}|{LOG}", json.dumps(entry, separators=(",", ":")).encode()


class SubscriptionWay:
    """A subscription whose connections are cut and whose messages come twice."""

    transport = "pubsub"
    format = "gcp.audit"

    def __init__(self, server: PubSub, network: Relay, publisher: PublisherClient) -> None:
        self._server = server
        self._network = network
        self._publisher = publisher

    def records(self, rng: random.Random, count: int) -> dict[str, bytes]:
        return audit(rng, count)

    def settings(self, _directory: Path) -> dict[str, Any]:
        return {
            "project": PROJECT,
            "subscription": "logs",
            "endpoint": self._network.address,
            "plaintext": True,
            "probe_interval_s": 1.0,
            "batch_messages": 5,
            "max_outstanding_messages": 30,
        }

    async def put(self, number: int, records: Sequence[bytes]) -> None:
        again = records[:1] if number % REPEATED == 0 else ()
        await self.publish([(record, {}) for record in (*records, *again)])

    async def publish(self, messages: Sequence[tuple[bytes, dict[str, str]]]) -> None:
        """Publish messages with their attributes."""

        def publish() -> None:
            for sent in [self._publisher.publish(TOPIC, data, **attributes) for data, attributes in messages]:
                sent.result(timeout=30)

        await asyncio.to_thread(publish)

    async def left(self) -> int:
        return await self._server.unacknowledged()

    def trouble(self) -> None:
        self._network.cut()


class AnnouncedObjectsWay(SubscriptionWay):
    """Objects of a bucket that can't be read for a while and are announced twice."""

    transport = "gcs_pubsub"

    def __init__(
        self, server: PubSub, network: Relay, publisher: PublisherClient, bucket: Bucket, proxy: Faulty
    ) -> None:
        super().__init__(server, network, publisher)
        self._bucket = bucket
        self._proxy = proxy

    def settings(self, directory: Path) -> dict[str, Any]:
        common = super().settings(directory)
        return {
            **{name: common[name] for name in common if name != "batch_messages"},
            "storage_endpoint": self._proxy.endpoint,
        }

    async def put(self, number: int, records: Sequence[bytes]) -> None:
        name = f"cloudaudit.googleapis.com/activity/{number:05}.json"
        generation = await self._bucket.write(name, b"".join(record + b"\n" for record in records))
        if number % REPEATED == 0:
            again = {"eventType": "OBJECT_FINALIZE", "bucketId": BUCKET, "objectId": name}
            await self.publish([(b"{}", {**again, "objectGeneration": str(generation)})])

    def trouble(self) -> None:
        super().trouble()
        self._proxy.faults += [
            Fault("/download/", 4, 503, body=b"{}"),
            Fault("/download/", 2, 429, body=b"{}"),
            Fault("/download/", 1, 200, body=b"cut"),
        ]


class ListedObjectsWay:
    """Objects of a bucket that nobody announces."""

    transport = "gcs_listing"
    format = "gcp.audit"

    def __init__(self, bucket: Bucket, proxy: Faulty) -> None:
        self._bucket = bucket
        self._marks = Path("none")
        self.proxy = proxy

    def records(self, rng: random.Random, count: int) -> dict[str, bytes]:
        return audit(rng, count)

    def settings(self, directory: Path) -> dict[str, Any]:
        self._marks = directory / f"{self.transport}.sqlite"
        return {
            "bucket": BUCKET,
            "once": True,
            "checkpoint_file": str(self._marks),
            "storage_endpoint": self.proxy.endpoint,
        }

    async def put(self, number: int, records: Sequence[bytes]) -> None:
        await self._bucket.write(f"{number:05}.json", b"".join(record + b"\n" for record in records))

    def done(self) -> int:
        if not self._marks.exists():
            return 0
        with contextlib.closing(sqlite3.connect(self._marks)) as marks:
            try:
                return int(marks.execute("SELECT count(*) FROM objects WHERE done").fetchone()[0])
            except sqlite3.OperationalError:
                return 0  # the collector is only making the table

    def unreadable(self, number: int) -> Fault:
        return Fault(f"/{number:05}.json?", 0, 503, body=b"{}")

    def trouble(self) -> None:
        self.proxy.faults += [
            Fault("/o?", 2, 503, body=b"{}"),
            Fault("/download/", 4, 503, body=b"{}"),
            Fault("/download/", 2, 429, body=b"{}"),
            Fault("/download/", 1, 200, body=b"cut"),
        ]


@contextlib.asynccontextmanager
async def _subscribed() -> AsyncIterator[tuple[PubSub, Relay, PublisherClient]]:
    async with running_pubsub(*FAULTS) as server, Relay(server.address).running() as network:
        channel = grpc.insecure_channel(server.address)
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        await asyncio.to_thread(publisher.create_topic, name=TOPIC)
        request = {"name": SUBSCRIPTION, "topic": TOPIC, "ack_deadline_seconds": 10}
        await asyncio.to_thread(subscriber.create_subscription, request=request)
        yield server, network, publisher
        publisher.stop()
        channel.close()


@contextlib.asynccontextmanager
async def pubsub() -> AsyncIterator[SubscriptionWay]:
    """A subscription on Google's in-memory server."""
    async with _subscribed() as parts:
        yield SubscriptionWay(*parts)


@contextlib.asynccontextmanager
async def gcs_pubsub() -> AsyncIterator[AnnouncedObjectsWay]:
    """A bucket of fake-gcs-server that tells that server of its objects."""
    async with _subscribed() as parts, running_fake_gcs(parts[0].address, TOPIC) as address:
        bucket = await asyncio.to_thread(Bucket, address)
        with faulty(address) as proxy:
            yield AnnouncedObjectsWay(*parts, bucket, proxy)
        bucket.close()


@contextlib.asynccontextmanager
async def gcs_listing() -> AsyncIterator[ListedObjectsWay]:
    """A bucket of fake-gcs-server."""
    async with running_fake_gcs() as address:
        bucket = await asyncio.to_thread(Bucket, address)
        with faulty(address) as proxy:
            yield ListedObjectsWay(bucket, proxy)
        bucket.close()
