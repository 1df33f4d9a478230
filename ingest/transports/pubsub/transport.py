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

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator

from google.api_core.exceptions import Forbidden, GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.cloud.pubsub_v1 import SubscriberClient
from google.cloud.pubsub_v1.subscriber.message import Message

from ingest.schema.envelope import Origin
from ingest.schema.errors import SkytrailError, SourceRefused, SourceUnavailable
from ingest.transports.contract import Place
from ingest.transports.google_cloud.access import meaning
from ingest.transports.messages.runs import cut_runs
from ingest.transports.pubsub.delivery import PubSubDelivery
from ingest.transports.pubsub.settings import PubSubSettings
from ingest.transports.pubsub.stream import Stream, new_client, refuse_unsafe

_NAME = "pubsub"
_ROLE = "roles/pubsub.subscriber on the subscription"
_ANSWER_S = 10.0
_MODIFY_AT_ONCE = 1000  # ids in one request: its size is limited to 512 KiB
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_RENEW_AFTER_PROBES = 10  # without a message in between


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
        self._client: SubscriberClient | None = None
        self._stream: Stream | None = None
        self._arrived: deque[Message] = deque()
        self._runs: deque[list[Message]] = deque()
        self._live: set[PubSubDelivery] = set()
        self._wake = asyncio.Event()
        self._closing = False
        self._idle_probes = 0
        self._pause_s = _FIRST_PAUSE_S

    async def deliveries(self) -> AsyncIterator[PubSubDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        while not self._closing:
            if self._runs:
                yield self._delivery_of(self._runs.popleft())
            elif self._arrived:
                self._cut()
            elif self._stream is None:
                await self._open()
            elif self._stream.ended:
                await self._reopen(self._stream)
            else:
                await self._wait()

    async def close(self) -> None:
        """See `Transport.close`: what is not settled is the subscription's again, at once."""
        self._closing = True
        self._wake.set()
        await self._end_stream()
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(client.close)

    async def _end_stream(self) -> None:
        """Nothing of this stream can be settled any more: give it back, it comes again at once."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()
        held = [message for delivery in self._live for message in delivery.messages]
        held += [message for run in self._runs for message in run] + list(self._arrived)
        for delivery in self._live:
            delivery.forget()
        self._live.clear()
        self._runs.clear()
        self._arrived.clear()
        if held and self._client is not None:
            await asyncio.to_thread(self._give_back, self._client, [message.ack_id for message in held])

    def _cut(self) -> None:
        """Make runs of what waits."""
        waiting = [self._arrived.popleft() for _ in range(min(len(self._arrived), self._settings.batch_messages))]
        bodies = [message.data for message in waiting]
        for cut in cut_runs(bodies, self._settings.batch_messages, self._settings.batch_bytes):
            self._runs.append(waiting[cut])

    def _delivery_of(self, messages: list[Message]) -> PubSubDelivery:
        more = f"+{len(messages) - 1}" if len(messages) > 1 else ""
        delivery = PubSubDelivery(
            messages,
            Origin(transport=_NAME, locator=f"{self._settings.path}/{messages[0].message_id}{more}"),
            self._place.clock(),
            timeout_s=self._settings.acknowledge_timeout_s,
            on_settled=self._live.discard,
            warn=self._place.warn,
        )
        self._live.add(delivery)
        return delivery

    async def _open(self) -> None:
        if self._client is None:
            self._client = await asyncio.to_thread(new_client, self._settings)
        if not self._closing and await self._answers("opening subscription"):
            client = await asyncio.to_thread(new_client, self._settings)
            if self._closing:
                client.close()
            else:
                self._stream = Stream(client, self._settings, on_message=self._arrive, on_end=self._wake.set)

    async def _reopen(self, stream: Stream) -> None:
        """The stream ended by itself: for good, or until we open another.

        Raises:
            SourceRefused: For good.
        """
        error = self._error("pulling", stream.error or SourceUnavailable("the stream ended"))
        await self._end_stream()
        if isinstance(error, SourceRefused):
            raise error
        self._place.warn(error)
        await self._rest()

    async def _wait(self) -> None:
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), self._settings.probe_interval_s)
        except TimeoutError:
            # The client reopens a stream in silence, for ever; somebody has to notice that nobody answers.
            answers = await self._answers("pulling")
            self._idle_probes = self._idle_probes + 1 if answers else _RENEW_AFTER_PROBES
            if answers and self._idle_probes >= _RENEW_AFTER_PROBES and not self._live:
                # After a network that came and went, the client was seen to wait for ever on a stream that was gone.
                await self._end_stream()
                self._idle_probes = 0

    async def _answers(self, doing: str) -> bool:
        """Ask whether the subscription is there.

        Raises:
            SourceRefused: It is not, or our credentials are refused. Without the right to look at it, the stream tells.
        """
        assert self._client is not None
        try:
            await asyncio.to_thread(
                self._client.get_subscription,
                subscription=self._settings.path,
                retry=None,
                timeout=_ANSWER_S,
            )
        except Forbidden:
            return True
        except (GoogleAPICallError, GoogleAuthError) as exc:
            error = self._error(doing, exc)
            if isinstance(error, SourceRefused):
                raise error from exc
            self._place.warn(error)
            await self._rest()
            return False
        self._pause_s = _FIRST_PAUSE_S
        return True

    async def _rest(self) -> None:
        """Pause before the next attempt, longer each time, unless the transport closes."""
        self._wake.clear()
        if self._closing:
            return
        pause_s = random.SystemRandom().uniform(0, self._pause_s)
        self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)
        await asyncio.wait({asyncio.ensure_future(self._wake.wait())}, timeout=pause_s)

    def _arrive(self, message: Message) -> None:
        attempt = message.delivery_attempt or 0
        if attempt >= self._settings.warn_attempts:
            what = f"pulling: message {message.message_id} comes for the {attempt}th time"
            mend = (
                "see why it is not acknowledged; the subscription's dead-letter policy takes it away after its maximum"
            )
            self._place.warn(SourceUnavailable(what, where=self._settings.path, mend=mend))
        self._arrived.append(message)
        self._idle_probes = 0
        self._wake.set()

    def _give_back(self, client: SubscriberClient, ack_ids: list[str]) -> None:
        for start in range(0, len(ack_ids), _MODIFY_AT_ONCE):
            try:
                client.modify_ack_deadline(
                    subscription=self._settings.path,
                    ack_ids=ack_ids[start : start + _MODIFY_AT_ONCE],
                    ack_deadline_seconds=0,
                    timeout=_ANSWER_S,
                )
            except (GoogleAPICallError, GoogleAuthError) as exc:
                self._place.warn(self._error("giving messages back, they come again when their lease ends", exc))
                return

    def _error(self, doing: str, exc: BaseException) -> SkytrailError:
        return meaning(doing, exc, self._settings.path, role=_ROLE)
