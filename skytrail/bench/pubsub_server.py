"""A quick Pub/Sub server for measurements, as a process of its own on loopback: PORT FILE.

It is ours and serves speed only: Google's own in-memory server hands out about 85 messages a second on a stream, so
waiting for it would be measured. What is right is proven on that one (tests/ingest/transports/pubsub/). Here
subscriptions come into being when they are named, each with all messages of the file; leases do not run out.
https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1#subscriber
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc.aio
import msgspec
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

UNACKNOWLEDGED = "unacknowledged"
"""The label of a subscription that says how many messages nobody has acknowledged."""
_SERVICE = "google.pubsub.v1.Subscriber"
_AT_ONCE = 100  # messages of one response
_ALL = 2**62


class Given(msgspec.Struct, frozen=True):
    """A message, as the file has it."""

    data: bytes
    attributes: dict[str, str] = {}


class Waiting:
    """One subscription: what waits, and what is handed out."""

    def __init__(self, messages: Sequence[Given]) -> None:
        self._messages = messages
        self._waiting = deque(range(len(messages)))
        self._out: dict[str, int] = {}
        self._handed_out = 0
        self._out_bytes = 0
        self._changed = asyncio.Event()

    @property
    def unacknowledged(self) -> int:
        """Messages that nobody has acknowledged."""
        return len(self._waiting) + len(self._out)

    async def next(self, most_messages: int, most_bytes: int) -> list[tuple[str, int]]:
        """Ids and places of the next messages, as soon as flow control lets one out."""
        while True:
            found: list[tuple[str, int]] = []
            while self._waiting and len(found) < _AT_ONCE and self._room(most_messages, most_bytes):
                self._handed_out += 1
                place = self._waiting.popleft()
                self._out[str(self._handed_out)] = place
                self._out_bytes += len(self._messages[place].data)
                found.append((str(self._handed_out), place))
            if found:
                return found
            self._changed.clear()
            await self._changed.wait()

    def settle(self, ids: Sequence[str], *, again: bool) -> None:
        """Forget messages that are handed out, or let them wait again."""
        for ack_id in ids:
            place = self._out.pop(ack_id, None)
            if place is not None:
                self._out_bytes -= len(self._messages[place].data)
                if again:
                    self._waiting.append(place)
        self._changed.set()

    def _room(self, most_messages: int, most_bytes: int) -> bool:
        return len(self._out) < most_messages and self._out_bytes < most_bytes


class Subscriber:
    """The calls that a subscriber's client makes."""

    def __init__(self, messages: Sequence[Given]) -> None:
        self._messages = messages
        self._bodies = [
            types.PubsubMessage(data=one.data, attributes=one.attributes, message_id=str(number))
            for number, one in enumerate(messages, start=1)
        ]
        self._subscriptions: dict[str, Waiting] = {}

    def handler(self) -> Any:
        """What a server is given."""
        unary: dict[str, tuple[Callable[..., Any], Any]] = {
            "GetSubscription": (self._get, types.GetSubscriptionRequest),
            "Acknowledge": (self._acknowledge, types.AcknowledgeRequest),
            "ModifyAckDeadline": (self._modify, types.ModifyAckDeadlineRequest),
        }
        calls = {
            name: grpc.unary_unary_rpc_method_handler(call, kind.pb().FromString, _serialised)
            for name, (call, kind) in unary.items()
        }
        calls["StreamingPull"] = grpc.stream_stream_rpc_method_handler(
            self._pull, types.StreamingPullRequest.pb().FromString, _serialised
        )
        return grpc.method_handlers_generic_handler(_SERVICE, calls)

    def _named(self, name: str) -> Waiting:
        if name not in self._subscriptions:
            self._subscriptions[name] = Waiting(self._messages)
        return self._subscriptions[name]

    async def _get(self, request: Any, _context: object) -> Any:
        labels = {UNACKNOWLEDGED: str(self._named(request.subscription).unacknowledged)}
        return types.Subscription.pb()(name=request.subscription, ack_deadline_seconds=60, labels=labels)

    async def _acknowledge(self, request: Any, _context: object) -> Any:
        self._named(request.subscription).settle(request.ack_ids, again=False)
        return Empty()

    async def _modify(self, request: Any, _context: object) -> Any:
        if not request.ack_deadline_seconds:
            self._named(request.subscription).settle(request.ack_ids, again=True)
        return Empty()

    async def _pull(self, requests: AsyncIterator[Any], _context: object) -> AsyncIterator[Any]:
        first = await anext(requests)
        waiting = self._named(first.subscription)
        limits = (first.max_outstanding_messages or _ALL, first.max_outstanding_bytes or _ALL)
        heard = asyncio.create_task(_drain(requests))
        try:
            while True:
                response = types.StreamingPullResponse.pb()()
                for ack_id, place in await waiting.next(*limits):
                    response.received_messages.add(ack_id=ack_id, message=types.PubsubMessage.pb(self._bodies[place]))
                yield response
        finally:
            heard.cancel()  # what is handed out stays so: a client acknowledges the last of it after its stream


def _serialised(message: Any) -> bytes:
    found: bytes = message.SerializeToString()
    return found


async def _drain(requests: AsyncIterator[Any]) -> None:
    """Heartbeats: clients acknowledge in calls of their own."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        async for _ in requests:
            pass


async def serve(port: int, messages: Sequence[Given]) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Subscriber(messages).handler(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    own_port, file = sys.argv[1:]
    asyncio.run(serve(int(own_port), msgspec.msgpack.decode(Path(file).read_bytes(), type=list[Given])))
