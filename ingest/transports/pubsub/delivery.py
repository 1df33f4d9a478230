"""Messages of a subscription on their way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence

from google.cloud.pubsub_v1.subscriber.message import Message

from ingest.schema.envelope import Origin
from ingest.transports.messages.runs import joined


class PubSubDelivery:
    """One message, or several that travel as one body.

    Args:
        messages: In the order of the body.
        on_acknowledged: Called once they are safe.
        on_returned: Called once they are handed back, and why if they are given up.
    """

    source = ""

    def __init__(
        self,
        messages: Sequence[Message],
        origin: Origin,
        received_at: dt.datetime,
        *,
        on_acknowledged: Callable[[PubSubDelivery], Awaitable[None]],
        on_returned: Callable[[PubSubDelivery, str], None],
    ) -> None:
        self.messages = messages
        self.origin = origin
        self.body = joined([message.data for message in messages])
        self.received_at = received_at
        self._on_acknowledged = on_acknowledged
        self._on_returned = on_returned
        self._settled = False

    def forget(self) -> None:
        """Its stream ended and its messages come again: settling it later counts for nothing."""
        self._settled = True

    async def acknowledge(self) -> None:
        """See `Delivery.acknowledge`; with exactly-once delivery it waits until the service has confirmed it."""
        if not self._settled:
            self._settled = True
            await self._on_acknowledged(self)

    async def reject(self, reason: str, *, retry: bool) -> None:
        """See `Delivery.reject`; given up, a message is left to the subscription's dead-letter policy, if any."""
        if not self._settled:
            self._settled = True
            self._on_returned(self, "" if retry else reason)
