"""The promises of `ingest/transports/contract.py`, as tests that every transport must pass.

A transport's test module derives from `TransportContract` and gives it a harness.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ingest.transports.contract import Delivery, Transport

BODIES = [b'{"n": 1}\n', b'{"n": 2}\n', b'{"n": 3}\n']


class Harness(ABC):
    """One source, and ways to open a transport on it again and again."""

    @abstractmethod
    async def open(self) -> Transport:
        """Open the transport as after a (re)start."""

    @abstractmethod
    async def send(self, bodies: list[bytes]) -> None:
        """Put bodies at the source, in order; may return before they are collected."""


@asynccontextmanager
async def opened(harness: Harness) -> AsyncIterator[tuple[Transport, AsyncIterator[Delivery]]]:
    """A transport and its deliveries; closed at the end."""
    transport = await harness.open()
    iterator = transport.deliveries()
    try:
        yield transport, iterator
    finally:
        await transport.close()
        await iterator.aclose()  # type: ignore[attr-defined]


async def pull(iterator: AsyncIterator[Delivery], count: int) -> list[Delivery]:
    """The next deliveries, in bounded time."""
    async with asyncio.timeout(10):
        return [await anext(iterator) for _ in range(count)]


async def nothing_more(iterator: AsyncIterator[Delivery]) -> bool:
    """Whether no delivery comes within a moment."""
    try:
        async with asyncio.timeout(0.5):
            await anext(iterator)
    except (TimeoutError, StopAsyncIteration):
        return True
    return False


@asynccontextmanager
async def asking(iterator: AsyncIterator[Delivery]) -> AsyncIterator[None]:
    """As a collector does, ask for what follows while the block runs; nothing may come.

    A source looks at what it has taken only when it is asked for the next delivery.
    """
    waiting = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
    try:
        yield
        assert not waiting.done(), "a delivery came, or the deliveries ended"
    finally:
        waiting.cancel()
        await asyncio.wait({waiting})


class TransportContract:
    """At least once, acknowledged in order, bounded, cleanly stopped."""

    @pytest.fixture
    def harness(self) -> Harness:
        raise NotImplementedError

    async def test_every_body_arrives_exactly_as_sent(self, harness: Harness) -> None:
        async with opened(harness) as (_, iterator):
            await harness.send(BODIES)
            found = await pull(iterator, 3)
            assert sorted(each.body for each in found) == BODIES
            assert all(each.origin.locator for each in found)

    async def test_what_is_not_acknowledged_comes_again_after_a_restart(self, harness: Harness) -> None:
        async with opened(harness) as (_, iterator):
            await harness.send(BODIES)
            first, *_ = await pull(iterator, 3)
            await first.acknowledge()
        async with opened(harness) as (_, iterator):
            again = await pull(iterator, 2)
            assert sorted(each.body for each in again) == sorted(set(BODIES) - {first.body})

    async def test_what_is_acknowledged_does_not_come_again(self, harness: Harness) -> None:
        async with opened(harness) as (_, iterator):
            await harness.send(BODIES)
            for each in await pull(iterator, 3):
                await each.acknowledge()
        async with opened(harness) as (_, iterator):
            assert await nothing_more(iterator)

    async def test_acknowledging_a_later_body_does_not_acknowledge_an_earlier_one(self, harness: Harness) -> None:
        async with opened(harness) as (_, iterator):
            await harness.send(BODIES)
            first, *later = await pull(iterator, 3)
            for each in later:
                await each.acknowledge()
        async with opened(harness) as (_, iterator):
            again = await pull(iterator, 1)
            assert again[0].body == first.body

    async def test_acknowledging_twice_is_harmless(self, harness: Harness) -> None:
        async with opened(harness) as (_, iterator):
            await harness.send(BODIES)
            first, second, third = await pull(iterator, 3)
            for each in (first, first, third, first):
                await each.acknowledge()
        async with opened(harness) as (_, iterator):
            again = await pull(iterator, 1)
            assert again[0].body == second.body  # the third may follow: progress is kept up to the first gap

    async def test_what_is_handed_back_comes_again(self, harness: Harness) -> None:
        async with opened(harness) as (_, iterator):
            await harness.send(BODIES[:1])
            (first,) = await pull(iterator, 1)
            await first.reject("not now", retry=True)
            (again,) = await pull(iterator, 1)
            assert again.body == first.body
            await again.acknowledge()
            assert await nothing_more(iterator)

    async def test_a_close_ends_the_deliveries_and_leaves_no_task_and_no_thread(self, harness: Harness) -> None:
        before, threads_before = asyncio.all_tasks(), set(threading.enumerate())
        transport = await harness.open()
        iterator = transport.deliveries()
        await harness.send(BODIES)
        for each in await pull(iterator, 3):
            await each.acknowledge()
        waiting = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        await transport.close()
        await transport.close()
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(waiting, 5)
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == before
        left = {thread.name.partition("_")[0] for thread in set(threading.enumerate()) - threads_before}
        assert left <= {"asyncio"}, left
