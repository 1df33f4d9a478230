"""Messages of a subscription on their way."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence

from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeError
from google.cloud.pubsub_v1.subscriber.message import Message

from ingest.schema.envelope import Origin
from ingest.schema.errors import SkytrailError, SourceRefused, SourceUnavailable
from ingest.transports.messages.runs import joined


class PubSubDelivery:
    """One message, or several that travel as one body.

    Args:
        messages: In the order of the body.
        timeout_s: How long the service may take to confirm an acknowledgement.
        on_settled: Called once they are acknowledged or handed back.
        warn: Hears of acknowledgements that failed.
    """

    source = ""

    def __init__(
        self,
        messages: Sequence[Message],
        origin: Origin,
        received_at: dt.datetime,
        *,
        timeout_s: float,
        on_settled: Callable[[PubSubDelivery], None],
        warn: Callable[[SkytrailError], None],
    ) -> None:
        self.messages = messages
        self.origin = origin
        self.body = joined([message.data for message in messages])
        self.received_at = received_at
        self._timeout_s = timeout_s
        self._on_settled = on_settled
        self._warn = warn
        self._settled = False

    async def acknowledge(self) -> None:
        """See `Delivery.acknowledge`; with exactly-once delivery it waits until the service has confirmed it."""
        if self._settled:
            return
        self._settled = True
        answers = [asyncio.wrap_future(message.ack_with_response()) for message in self.messages]
        self._on_settled(self)
        await asyncio.wait(answers, timeout=self._timeout_s)
        failed = [answer for answer in answers if not answer.done() or answer.exception()]
        for answer in answers:
            answer.cancel()
        if failed:
            self._warn(_unacknowledged(len(failed), len(answers), failed[0], self.origin.locator))

    def forget(self) -> None:
        """The transport closes and gives the messages back: settling it later counts for nothing."""
        self._settled = True

    async def reject(self, reason: str, *, retry: bool) -> None:
        """See `Delivery.reject`; given up, a message is left to the subscription's dead-letter policy, if any."""
        if self._settled:
            return
        self._settled = True
        if not retry:
            what = f"collecting message: given up: {reason}; the subscription delivers it again"
            self._warn(SourceRefused(what, where=self.origin.locator))
        for message in self.messages:
            message.nack()
        self._on_settled(self)


def _unacknowledged(failed: int, of: int, first: asyncio.Future[object], where: str) -> SkytrailError:
    """The brokers have these messages: coming again they are duplicates. Often it means the lease ran out."""
    error = first.exception() if first.done() and not first.cancelled() else None
    why = error.error_code.name if isinstance(error, AcknowledgeError) else str(error or "no answer")
    what = f"acknowledging: {failed} of {of} messages were not: {why}; they come again, as duplicates"
    mend = "nothing if it is rare; else check the subscription's acknowledgement deadline and our permission to consume"
    return SourceUnavailable(what, where=where, mend=mend)
