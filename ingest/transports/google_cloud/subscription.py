"""The messages of a subscription, through streams that end and are opened anew."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from google.api_core.exceptions import Forbidden, GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.cloud.pubsub_v1 import SubscriberClient
from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeError
from google.cloud.pubsub_v1.subscriber.message import Message

from ingest.schema.errors import SkytrailError, SourceRefused, SourceUnavailable
from ingest.transports.google_cloud.access import meaning
from ingest.transports.google_cloud.settings import SubscriptionSettings
from ingest.transports.google_cloud.stream import Stream, new_client

_ROLE = "roles/pubsub.subscriber on the subscription"
_ANSWER_S = 10.0
_MODIFY_AT_ONCE = 1000  # ids in one request: its size is limited to 512 KiB
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_RENEW_AFTER_PROBES = 10  # without a message in between


class Subscription:
    """Pulls messages and holds those that nobody took yet.

    Args:
        surrender: Called when a stream ends: the messages that were taken and are not settled. They can't be settled
            any more and come again.
        warn: Hears of what does not stop the source.

    Attributes:
        arrived: What came and was not taken.
    """

    def __init__(
        self,
        settings: SubscriptionSettings,
        *,
        surrender: Callable[[], Sequence[Message]],
        warn: Callable[[SkytrailError], None],
    ) -> None:
        self._settings = settings
        self._surrender = surrender
        self._warn = warn
        self._client: SubscriberClient | None = None
        self._stream: Stream | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._idle_probes = 0
        self._unsettled = 0
        self._pause_s = _FIRST_PAUSE_S
        self.arrived: deque[Message] = deque()

    async def fill(self) -> None:
        """Wait until something may have arrived, or `close` is called.

        Raises:
            SourceRefused: The subscription is missing, or refuses us.
        """
        if self.arrived or self._closing:
            return
        if self._stream is None:
            await self._open()
        elif self._stream.ended:
            await self._reopen(self._stream)
        else:
            await self._wait()

    def take(self) -> Message:
        """The message that arrived first; it is settled by `acknowledge` or `give_back`, or surrendered."""
        self._unsettled += 1
        return self.arrived.popleft()

    async def acknowledge(self, messages: Sequence[Message], where: str) -> None:
        """Let the service forget messages; with exactly-once delivery, wait until it has confirmed that.

        Args:
            where: What they brought, for what is told if it does not: then they come again.
        """
        self._unsettled -= len(messages)
        answers = [message.ack_with_response() for message in messages]
        # Without exactly-once delivery every answer is there at once: to wait for it would wake the loop each time.
        late = [asyncio.wrap_future(answer) for answer in answers if not answer.done()]
        if late:
            await asyncio.wait(late, timeout=self._settings.acknowledge_timeout_s)
        failed = [answer for answer in answers if not answer.done() or answer.exception()]
        for waited in late:
            waited.cancel()
        if failed:
            self._warn(_unacknowledged(len(failed), len(answers), failed[0], where))

    def give_back(self, messages: Sequence[Message]) -> None:
        """Let the service deliver messages again."""
        self._unsettled -= len(messages)
        for message in messages:
            message.nack()

    async def close(self) -> None:
        """What is not settled is the subscription's again, at once; harmless when repeated."""
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
        held = [*self._surrender(), *self.arrived]
        self.arrived.clear()
        self._unsettled = self._idle_probes = 0
        if held and self._client is not None:
            await asyncio.to_thread(self._return, self._client, [message.ack_id for message in held])

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
        self._warn(error)
        await self._rest()

    async def _wait(self) -> None:
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), self._settings.probe_interval_s)
        except TimeoutError:
            # The client reopens a stream in silence, for ever; somebody has to notice that nobody answers.
            answers = await self._answers("pulling")
            self._idle_probes = self._idle_probes + 1 if answers else _RENEW_AFTER_PROBES
            if answers and self._idle_probes >= _RENEW_AFTER_PROBES and not (self._unsettled or self.arrived):
                # After a network that came and went, the client was seen to wait for ever on a stream that was gone.
                await self._end_stream()

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
            self._warn(error)
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
        try:
            await asyncio.wait_for(self._wake.wait(), pause_s)
        except TimeoutError:
            return

    def _arrive(self, message: Message) -> None:
        attempt = message.delivery_attempt or 0
        if attempt >= self._settings.warn_attempts:
            what = f"pulling: message {message.message_id} comes for the {attempt}th time"
            mend = (
                "see why it is not acknowledged; the subscription's dead-letter policy takes it away after its maximum"
            )
            self._warn(SourceUnavailable(what, where=self._settings.path, mend=mend))
        self.arrived.append(message)
        self._idle_probes = 0
        self._wake.set()

    def _return(self, client: SubscriberClient, ack_ids: list[str]) -> None:
        for start in range(0, len(ack_ids), _MODIFY_AT_ONCE):
            try:
                client.modify_ack_deadline(
                    subscription=self._settings.path,
                    ack_ids=ack_ids[start : start + _MODIFY_AT_ONCE],
                    ack_deadline_seconds=0,
                    timeout=_ANSWER_S,
                )
            except (GoogleAPICallError, GoogleAuthError) as exc:
                self._warn(self._error("giving messages back, they come again when their lease ends", exc))
                return

    def _error(self, doing: str, exc: BaseException) -> SkytrailError:
        return meaning(doing, exc, self._settings.path, role=_ROLE)


def _unacknowledged(failed: int, of: int, first: Future[object], where: str) -> SkytrailError:
    """The brokers have these messages: coming again they are duplicates. Often it means the lease ran out."""
    error = first.exception() if first.done() and not first.cancelled() else None
    why = error.error_code.name if isinstance(error, AcknowledgeError) else str(error or "no answer")
    what = f"acknowledging: {failed} of {of} messages were not: {why}; they come again, as duplicates"
    mend = "nothing if it is rare; else check the subscription's acknowledgement deadline and our permission to consume"
    return SourceUnavailable(what, where=where, mend=mend)
