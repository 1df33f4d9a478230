"""The quick Pub/Sub server of measurements, asked by the SDK: it counts what is not acknowledged, and paces itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ingest.schema.errors import EngineError
from skytrail.bench.pubsub_server import Given, Waiting
from skytrail.bench.subscriptions import Subscriptions, subscriptions

MESSAGES = [Given(b"%04d" % number, {"number": str(number)}) for number in range(250)]
SIZE = 4 * len(MESSAGES)


@pytest_asyncio.fixture
async def found() -> AsyncIterator[Subscriptions]:
    async with subscriptions(MESSAGES) as server:
        yield server


async def test_each_run_gets_every_message_with_its_attributes(found: Subscriptions) -> None:
    for _ in range(2):
        await found.renew()
        seen: dict[bytes, str] = {}

        def take(message: object, seen: dict[bytes, str] = seen) -> int:
            seen[message.data] = message.attributes["number"]  # type: ignore[attr-defined]
            return len(message.data)  # type: ignore[attr-defined]

        assert await asyncio.to_thread(found.pull, take, SIZE, 1) == SIZE
        assert seen == {one.data: one.attributes["number"] for one in MESSAGES}


async def test_a_run_that_leaves_messages_unacknowledged_is_an_error() -> None:
    with pytest.raises(EngineError, match="250 messages were taken and not acknowledged"):
        async with subscriptions(MESSAGES) as server:
            await server.renew()


async def test_no_more_are_handed_out_than_flow_control_lets_out() -> None:
    waiting = Waiting(MESSAGES)
    first = await waiting.next(30, 10_000)
    assert len(first) == 30
    blocked = asyncio.create_task(waiting.next(30, 10_000))
    await asyncio.sleep(0)
    assert not blocked.done()
    waiting.settle([first[0][0]], again=False)
    assert [place for _, place in await blocked] == [30]
    assert len(await Waiting(MESSAGES).next(1000, 10)) == 3  # the third message passes ten bytes


async def test_what_is_given_back_comes_again_and_what_is_acknowledged_does_not() -> None:
    waiting = Waiting(MESSAGES[:2])
    (kept, _), (back, _) = await waiting.next(2, 1000)
    waiting.settle([kept], again=False)
    waiting.settle([back], again=True)
    assert waiting.unacknowledged == 1
    ((again, place),) = await waiting.next(2, 1000)
    assert (place, again != back) == (1, True)
    waiting.settle([kept, back], again=False)
    assert waiting.unacknowledged == 1
