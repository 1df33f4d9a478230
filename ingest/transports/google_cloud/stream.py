"""A streaming pull: the client's threads on one side, the event loop on the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.cloud.pubsub_v1 import SubscriberClient, types
from google.cloud.pubsub_v1.subscriber.message import Message
from google.cloud.pubsub_v1.subscriber.scheduler import ThreadScheduler
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from ingest.loopback import at_loopback
from ingest.schema.errors import ConfigError
from ingest.transports.google_cloud.access import credentials_of
from ingest.transports.google_cloud.settings import SubscriptionSettings

_SCOPE = "https://www.googleapis.com/auth/pubsub"
_CLOSE_GRACE_S = 15.0


def refuse_unsafe(settings: SubscriptionSettings) -> None:
    """Refuse to read logs in the clear beyond this machine.

    Raises:
        ConfigError: With what to set.
    """
    if settings.plaintext and not at_loopback(settings.endpoint):
        mend = "remove plaintext; it is meant for an emulator on this machine"
        raise ConfigError(
            "opening subscription: plaintext beyond loopback", where=f"endpoint {settings.endpoint!r}", mend=mend
        )


def new_client(settings: SubscriptionSettings) -> SubscriberClient:
    """A client; may ask the machine's metadata server for credentials, so it is made in a thread.

    Raises:
        ConfigError: There are no usable credentials.
    """
    if settings.plaintext:
        return SubscriberClient(transport=SubscriberGrpcTransport(channel=grpc.insecure_channel(settings.endpoint)))
    options = {"api_endpoint": settings.endpoint} if settings.endpoint else {}
    return SubscriberClient(credentials=credentials_of(settings.credentials_file, _SCOPE), client_options=options)


class Stream:
    """One streaming pull, from opening to its end.

    The client extends the lease of every message until it is settled, reopens the stream after what is temporary, and
    pauses it while too much is outstanding.

    Args:
        client: Of this stream alone, closed with it: a client that is reopening while it is told to end may leave a
            stream behind that takes messages and gives them to nobody. Only the end of its channel ends that, too.
        on_message: Called in the event loop for each message, in no order.
        on_end: Called in the event loop once the stream has ended; then `error` says why.
    """

    def __init__(
        self,
        client: SubscriberClient,
        settings: SubscriptionSettings,
        *,
        on_message: Callable[[Message], None],
        on_end: Callable[[], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._client = client
        arrived: deque[Message] = deque()

        def hand_over() -> None:
            try:
                while arrived:
                    on_message(arrived.popleft())
            finally:
                if arrived:
                    loop.call_soon(hand_over)

        def arrive(message: Message) -> None:
            arrived.append(message)
            if len(arrived) == 1:  # else somebody is called already, and goes on until nothing is left
                loop.call_soon_threadsafe(hand_over)

        self._future = client.subscribe(
            settings.path,
            callback=arrive,
            flow_control=types.FlowControl(
                max_messages=settings.max_outstanding_messages,
                max_bytes=settings.max_outstanding_bytes,
                max_lease_duration=settings.max_lease_s,
            ),
            scheduler=ThreadScheduler(ThreadPoolExecutor(1, thread_name_prefix="pubsub-messages")),
            await_callbacks_on_shutdown=True,
        )

        def ended(_future: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody listens any more
                loop.call_soon_threadsafe(on_end)

        self._future.add_done_callback(ended)

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more."""
        return bool(self._future.done())

    @property
    def error(self) -> BaseException | None:
        """Why it ended; None if it was closed."""
        return self._future.exception() if self._future.done() and not self._future.cancelled() else None

    async def close(self) -> None:
        """End it; afterwards no message comes and no thread of it is left."""

        def end() -> None:
            self._future.cancel()
            with contextlib.suppress(Exception):  # why it ended was told when it ended
                self._future.result(timeout=_CLOSE_GRACE_S)
            self._client.close()

        await asyncio.to_thread(end)
