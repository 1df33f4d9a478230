"""A pull subscription of Google Cloud Pub/Sub: log sinks of Cloud Logging, or anything else.

Delivery: at least once. A message is acknowledged after the brokers have it; with exactly-once delivery the answer is
          awaited, and a refused acknowledgement is told. Until then its lease is extended, at most `max_lease_s`.
Bodies:   The data of a message. Messages that are a line of JSON each and wait together travel as one body, whose
          origin names the first. Attributes, ordering key and time of publication are not kept.
Pressure: At most `max_outstanding_messages` and `max_outstanding_bytes` are held; then the stream pauses.
Stop:     What is held is given back at once. Each return counts as a delivery attempt of a dead-letter policy.
Order:    None.
          https://cloud.google.com/pubsub/docs/pull#streamingpull_api
Tests:    tests/ingest/transports/pubsub/
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from google.cloud.pubsub_v1.subscriber.message import Message

from ingest.schema.envelope import Origin
from ingest.schema.errors import SourceRefused
from ingest.transports.contract import Place
from ingest.transports.google_cloud.stream import refuse_unsafe
from ingest.transports.google_cloud.subscription import Subscription
from ingest.transports.messages.runs import cut_runs
from ingest.transports.pubsub.delivery import PubSubDelivery
from ingest.transports.pubsub.settings import PubSubSettings

_NAME = "pubsub"


async def open_transport(settings: PubSubSettings, place: Place) -> PubSubSource:
    """A source that connects when its deliveries are asked for.

    Raises:
        ConfigError: Unsafe settings.
    """
    return PubSubSource(settings, place)


class PubSubSource:
    """Pulls from a subscription.

    Raises:
        ConfigError: Unsafe settings.
    """

    def __init__(self, settings: PubSubSettings, place: Place) -> None:
        refuse_unsafe(settings)
        self._settings = settings
        self._place = place
        self._subscription = Subscription(settings, surrender=self._surrender, warn=place.warn)
        self._runs: deque[list[Message]] = deque()
        self._live: set[PubSubDelivery] = set()
        self._closing = False

    async def deliveries(self) -> AsyncIterator[PubSubDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        while not self._closing:
            if self._runs:
                yield self._delivery_of(self._runs.popleft())
            elif self._subscription.arrived:
                self._cut()
            else:
                await self._subscription.fill()

    async def close(self) -> None:
        """See `Transport.close`: what is not settled is the subscription's again, at once."""
        self._closing = True
        await self._subscription.close()

    def _cut(self) -> None:
        """Make runs of what waits."""
        count = min(len(self._subscription.arrived), self._settings.batch_messages)
        waiting = [self._subscription.take() for _ in range(count)]
        bodies = [message.data for message in waiting]
        for cut in cut_runs(bodies, self._settings.batch_messages, self._settings.batch_bytes):
            self._runs.append(waiting[cut])

    def _delivery_of(self, messages: list[Message]) -> PubSubDelivery:
        more = f"+{len(messages) - 1}" if len(messages) > 1 else ""
        delivery = PubSubDelivery(
            messages,
            Origin(transport=_NAME, locator=f"{self._settings.path}/{messages[0].message_id}{more}"),
            self._place.clock(),
            on_acknowledged=self._acknowledge,
            on_returned=self._give_back,
        )
        self._live.add(delivery)
        return delivery

    async def _acknowledge(self, delivery: PubSubDelivery) -> None:
        self._live.discard(delivery)
        await self._subscription.acknowledge(delivery.messages, delivery.origin.locator)

    def _give_back(self, delivery: PubSubDelivery, given_up: str) -> None:
        self._live.discard(delivery)
        if given_up:
            what = f"collecting message: given up: {given_up}; the subscription delivers it again"
            self._place.warn(SourceRefused(what, where=delivery.origin.locator))
        self._subscription.give_back(delivery.messages)

    def _surrender(self) -> list[Message]:
        held = [message for delivery in self._live for message in delivery.messages]
        held += [message for run in self._runs for message in run]
        for delivery in self._live:
            delivery.forget()
        self._live.clear()
        self._runs.clear()
        return held
