"""The queue: messages received, kept hidden while in work, deleted when done, given back when not.

A message is hidden for `visibility_s`; a keeper extends that for everything in work, in batches, three times as often
as needed. Deletions and returns go through the keeper too, so that those of one moment share a request.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ingest.schema.errors import SkytrailError, SourceRefused, SourceUnavailable
from ingest.transports.aws.calls import AwsCalls
from ingest.transports.s3_sqs.settings import S3SqsSettings

BATCH = 10  # messages of one request, as SQS allows
_AGAIN_S = 1.0  # pause of the keeper after a request that failed
_CLOSING_S = 10.0  # for the last deletions and returns


@dataclass(slots=True, eq=False)
class Message:
    """A message in work.

    Attributes:
        handle: What SQS knows this reception by; a later reception of the same message replaces it.
        body: As sent.
        receptions: How many times it was received, this time included.
    """

    id: str
    handle: str
    body: str
    receptions: int


class Queue:
    """One SQS queue, standard or FIFO.

    Args:
        warn: Hears of what does not stop the collector.
    """

    def __init__(self, calls: AwsCalls, settings: S3SqsSettings, warn: Callable[[SkytrailError], None]) -> None:
        self._calls = calls
        self._settings = settings
        self._warn = warn
        self._in_work: dict[str, Message] = {}
        self._done: dict[str, Message] = {}
        self._returned: dict[str, tuple[Message, int]] = {}
        self._due = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Ask for the queue, and begin to keep its messages.

        Raises:
            SourceUnavailable: It does not answer.
            SourceRefused: There is no such queue, or we may not read it.
        """
        found: Mapping[str, Any] = await self._call("get_queue_attributes", AttributeNames=["RedrivePolicy"])
        if "RedrivePolicy" not in found.get("Attributes", {}):
            self._warn(
                SourceRefused(
                    "opening queue: it has no dead-letter queue, so what can't be read comes again until it expires",
                    where=self._settings.queue_url,
                    mend="give the queue a redrive policy; `skytrail onboard aws` prints one",
                )
            )
        self._keeper = asyncio.create_task(self._keep())

    async def receive(self) -> list[Message]:
        """Wait for messages; those that are in work already are not given again.

        Raises:
            SourceUnavailable: It does not answer now.
            SourceRefused: It says no.
        """
        answer: Mapping[str, Any] = await self._call(
            "receive_message",
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=self._settings.wait_s,
            VisibilityTimeout=self._settings.visibility_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        fresh = [message for each in answer.get("Messages", ()) if (message := self._noted(each))]
        self._in_work |= {message.id: message for message in fresh}
        return fresh

    def done(self, message: Message) -> None:
        """Everything that the message announced is safe: delete it."""
        if self._in_work.pop(message.id, None):
            self._done[message.id] = message
            self._due.set()

    def give_back(self, message: Message, after_s: int) -> None:
        """Let the message be received again after some seconds."""
        if self._in_work.pop(message.id, None):
            self._returned[message.id] = (message, after_s)
            self._due.set()

    async def close(self) -> None:
        """Delete what is done, make everything else visible at once."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        for message in tuple(self._in_work.values()):
            self.give_back(message, 0)
        self._returned = {key: (message, 0) for key, (message, _) in self._returned.items()}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_S):
                while not await self._settle():  # noqa: ASYNC110 - what is waited for does not tell
                    await asyncio.sleep(_AGAIN_S)

    def _noted(self, received: Mapping[str, Any]) -> Message | None:
        """The message, unless we have it: then its latest handle is the one that counts."""
        key, handle = received["MessageId"], received["ReceiptHandle"]
        self._returned.pop(key, None)  # it is ours again: its return no longer matters
        known = self._in_work.get(key) or self._done.get(key)
        if known is not None:
            known.handle = handle
            return None
        receptions = int(received.get("Attributes", {}).get("ApproximateReceiveCount", 1))
        return Message(key, handle, received["Body"], receptions)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        period = self._settings.visibility_s / 3
        extend_at = loop.time() + period
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), max(0.0, extend_at - loop.time()))
            self._due.clear()
            settled = await self._settle()
            if loop.time() >= extend_at:
                settled = await self._extend() and settled
                extend_at = loop.time() + period
            if not settled:
                self._due.set()
                await asyncio.sleep(_AGAIN_S)

    async def _extend(self) -> bool:
        """Hide what is in work for longer; whether that could be asked for."""
        try:
            await self._change([(each, self._settings.visibility_s) for each in self._in_work.values()])
        except SkytrailError as exc:
            self._warn(exc)
            return False
        return True

    async def _settle(self) -> bool:
        """Send deletions and returns; whether none is left."""
        try:
            await self._delete(list(self._done.values()))
            await self._change(list(self._returned.values()))
        except SkytrailError as exc:
            self._warn(exc)
        return not self._done and not self._returned

    async def _delete(self, messages: list[Message]) -> None:
        for batch in _batches(messages):
            entries = [{"Id": str(number), "ReceiptHandle": each.handle} for number, each in enumerate(batch)]
            failed = await self._batch("delete_message_batch", entries)
            for number, message in enumerate(batch):
                if not failed.get(number, False):
                    self._done.pop(message.id, None)

    async def _change(self, messages: list[tuple[Message, int]]) -> None:
        for batch in _batches(messages):
            entries = [
                {"Id": str(number), "ReceiptHandle": each.handle, "VisibilityTimeout": seconds}
                for number, (each, seconds) in enumerate(batch)
            ]
            failed = await self._batch("change_message_visibility_batch", entries)
            for number, (message, _) in enumerate(batch):
                if not failed.get(number, False):
                    self._returned.pop(message.id, None)

    async def _batch(self, operation: str, entries: list[dict[str, Any]]) -> dict[int, bool]:
        """Entries that failed, and whether they may succeed later; what can't is told: the message comes again."""
        answer: Mapping[str, Any] = await self._call(operation, Entries=entries)
        failed: dict[int, bool] = {}
        for each in answer.get("Failed", ()):
            later = not each.get("SenderFault", False)
            failed[int(each["Id"])] = later
            if not later:
                mend = "nothing: the message comes again, its records count as duplicates; raise visibility_s if often"
                what = f"{operation}: {each.get('Code')}: {each.get('Message', '')}"
                self._warn(SourceUnavailable(what, where=self._settings.queue_url, mend=mend))
        told = failed.keys() | {int(each["Id"]) for each in answer.get("Successful", ())}
        if len(told) < len(entries):  # not what SQS answers: nothing may be taken for done
            what = f"{operation}: the answer names {len(told)} of {len(entries)} messages; it is asked again"
            raise SourceUnavailable(what, where=self._settings.queue_url)
        return failed

    async def _call(self, operation: str, **parameters: Any) -> Any:
        url = self._settings.queue_url
        return await self._calls("sqs", operation, where=url, QueueUrl=url, **parameters)


def _batches(items: list[Any]) -> list[list[Any]]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
