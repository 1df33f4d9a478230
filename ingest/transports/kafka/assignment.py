"""The partitions that the group gave us: what was delivered of each, and what may be committed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from ingest.schema.errors import SkytrailError
from ingest.transports.messages.progress import Progress

_COMMIT_S = 10.0


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """What we hold, from one rebalance to the next.

    Before partitions are taken away, what is in flight has `grace_s` to be acknowledged, and that is committed. What is
    acknowledged later changes nothing: the partition's new owner, perhaps ourselves, begins at the committed offset.

    Args:
        on_lost: Called when what was fetched and not yet delivered is no longer ours.
        warn: Hears of commits that failed; what they covered comes again.

    Attributes:
        generation: Grows with each change; what was fetched under an older one must not be delivered.
    """

    def __init__(
        self,
        grace_s: float,
        *,
        on_lost: Callable[[], None],
        warn: Callable[[SkytrailError], None],
        error_of: Callable[[str, BaseException], SkytrailError],
    ) -> None:
        self._grace_s = grace_s
        self._on_lost = on_lost
        self._warn = warn
        self._error_of = error_of
        self._consumer: AIOKafkaConsumer | None = None
        self._partitions: dict[TopicPartition, Progress[int]] = {}
        self._due: dict[TopicPartition, int] = {}
        self._settled = asyncio.Event()
        self._committing = asyncio.Lock()
        self.generation = 0

    def bind(self, consumer: AIOKafkaConsumer | None) -> None:
        """From now on this consumer's partitions are meant; None: there are none."""
        self._consumer = consumer
        self._forget(list(self._partitions))

    def deliver(self, partition: TopicPartition, next_offset: int) -> Callable[[], None]:
        """Note that a body is delivered; what to call once it is settled."""
        progress = self._partitions[partition]
        reach = progress.deliver(next_offset)

        def settled() -> None:
            offset = progress.settle(reach)
            if offset is not None and self._partitions.get(partition) is progress:
                self._due[partition] = offset
            self._settled.set()

        return settled

    async def begin(self, partition: TopicPartition, offset: int) -> None:
        """Commit where a partition begins, before anything of it is read."""
        if partition in self._partitions:
            self._due[partition] = offset
        await self.commit()

    async def commit(self) -> None:
        """Commit what is acknowledged without a gap. A failure is told, and tried again at the next call."""
        async with self._committing:
            due, self._due = self._due, {}
            if not due or self._consumer is None:
                return
            try:
                await asyncio.wait_for(self._consumer.commit(due), _COMMIT_S)
            except (KafkaError, TimeoutError) as exc:
                for partition, offset in due.items():
                    if partition in self._partitions:
                        self._due.setdefault(partition, offset)
                self._warn(self._error_of("committing offsets", exc))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called by the client before it gives partitions back."""
        leaving = [partition for partition in revoked if partition in self._partitions]
        self.generation += 1
        self._on_lost()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._grace_s):
                while any(self._partitions[each].unsettled for each in leaving):
                    self._settled.clear()
                    await self._settled.wait()
        await self.commit()
        self._forget(leaving)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called by the client with everything that is ours now."""
        self._forget(list(self._partitions))
        self._partitions = {partition: Progress() for partition in assigned}

    def _forget(self, partitions: list[TopicPartition]) -> None:
        self.generation += 1
        self._on_lost()
        for partition in partitions:
            self._partitions.pop(partition, None)
            self._due.pop(partition, None)
