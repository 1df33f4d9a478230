"""A client that tells why a partition can't be attached.

azure-eventhub 5.15.1 takes an error while a receiver attaches for a sign that it was closed: no callback hears of it,
and it tries again about once a second, for ever. A consumer group that does not exist, a right that was taken away, an
expired key and throttling would all look like a quiet hub. So each attempt to attach is watched here; the test of a
consumer group that does not exist fails should the SDK change what is used of it.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.aio._consumer_async import EventHubConsumer
from azure.eventhub.exceptions import EventHubError

from ingest.transports.event_hubs.troubles import is_theft

_ATTACH_S = 90.0  # the SDK waits without end for an answer to an attach
_CAP_S = 30.0
_uniform = random.SystemRandom().uniform


class Watcher(Protocol):
    """Hears how attempts to attach end."""

    def attached(self, partition: str) -> None:
        """A partition is read now."""
        ...

    async def refused(self, partition: str, error: Exception) -> None:
        """It could not be attached; it is tried again after a pause."""
        ...


class TellingClient(EventHubConsumerClient):
    """The SDK's client.

    Attributes:
        watcher: Set before reading begins.
    """

    watcher: Watcher

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._failures: defaultdict[str, int] = defaultdict(int)

    def _create_consumer(
        self,
        consumer_group: str,
        partition_id: str,
        event_position: Any,
        on_event_received: Any,
        **options: Any,
    ) -> EventHubConsumer:
        consumer = super()._create_consumer(consumer_group, partition_id, event_position, on_event_received, **options)
        opening = consumer._open  # noqa: SLF001 - the only place where the reason can be had
        consumer._open = functools.partial(  # type: ignore[method-assign]  # noqa: SLF001 - same
            self._open_or_tell, consumer, opening, partition_id
        )
        return consumer

    async def _open_or_tell(
        self, consumer: EventHubConsumer, opening: Callable[[], Awaitable[None]], partition: str
    ) -> None:
        if consumer.running:
            return
        try:
            async with asyncio.timeout(_ATTACH_S):
                await opening()
        except Exception as exc:
            error = await _in_words(consumer, exc)
            if not is_theft(error):  # of a theft the SDK tells
                await self.watcher.refused(partition, error)
                self._failures[partition] += 1
                await asyncio.sleep(_uniform(0, min(_CAP_S, 2.0 ** self._failures[partition])))
            raise
        self._failures.pop(partition, None)
        self.watcher.attached(partition)


async def _in_words(consumer: EventHubConsumer, error: Exception) -> Exception:
    """The error as the SDK would have told it; frees the broken link."""
    try:
        told: Exception = await consumer._handle_exception(error)  # noqa: SLF001 - what the SDK itself does next
    except EventHubError as exc:
        return exc
    return told
