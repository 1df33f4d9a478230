"""A topic and a subscription of their own on a Pub/Sub server of the test's own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from ingest.transports.google_cloud.stream import new_client
from ingest.transports.pubsub.settings import PubSubSettings
from ingest.transports.pubsub.transport import PubSubSource
from tests.ingest.fakes import Told
from tests.ingest.transports.contract import Harness

PROJECT = "acme-test"
TOPIC = f"projects/{PROJECT}/topics/logs"
DEAD = f"projects/{PROJECT}/topics/dead"


@dataclass
class Subscription(Harness):
    """What publishes, and the place of a collector that pulls."""

    address: str
    directory: Path
    options: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.told = Told(self.directory)
        self.publisher = PublisherClient(transport=PublisherGrpcTransport(channel=grpc.insecure_channel(self.address)))
        self.subscriber: SubscriberClient = new_client(self.settings())

    def settings(self, **changes: object) -> PubSubSettings:
        values: dict[str, object] = {
            "project": PROJECT,
            "subscription": "logs",
            "endpoint": self.address,
            "plaintext": True,
        }
        return PubSubSettings.model_validate(values | self.options | changes)

    def create(self, **options: object) -> None:
        self.publisher.create_topic(name=TOPIC)
        request = {"name": self.settings().path, "topic": TOPIC, "ack_deadline_seconds": 10}
        self.subscriber.create_subscription(request=request | options)

    async def open(self, **changes: object) -> PubSubSource:
        return PubSubSource(self.settings(**changes), self.told.place)

    async def send(self, bodies: list[bytes]) -> None:
        def publish() -> None:
            for body in bodies:
                self.publisher.publish(TOPIC, body).result(timeout=10)

        await asyncio.to_thread(publish)

    async def left(self, subscription: str = "") -> list[bytes]:
        """What a subscription still has for somebody else, now."""

        def pull() -> list[bytes]:
            path = subscription or self.settings().path
            found = self.subscriber.pull(subscription=path, max_messages=1000, return_immediately=True, timeout=5)
            return [each.message.data for each in found.received_messages]

        return await asyncio.to_thread(pull)

    def close(self) -> None:
        self.publisher.stop()
        self.publisher.transport.close()
        self.subscriber.close()
