"""From the client's thread to the event loop: nothing is left behind, whatever happens to one message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ingest.transports.google_cloud.stream import Stream
from ingest.transports.pubsub.settings import PubSubSettings

SETTINGS = PubSubSettings(project="p", subscription="s", endpoint="127.0.0.1:1", plaintext=True)


class Client:
    """A client whose stream brings what a test hands to `bring`."""

    def __init__(self) -> None:
        self.bring: Callable[[str], None]

    def subscribe(self, _path: str, *, callback: Callable[[str], None], **_options: Any) -> Future[None]:
        self.bring = callback
        return Future()


async def test_every_message_is_handed_over_once_also_behind_one_that_breaks() -> None:
    broken: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: broken.append(context["exception"]))
    seen: list[str] = []

    def take(message: Any) -> None:
        seen.append(message)
        if message == "b":
            raise ValueError(message)

    client: Any = Client()
    Stream(client, SETTINGS, on_message=take, on_end=lambda: None)
    for message in "abc":
        client.bring(message)
    assert seen == []  # only the loop hands over
    await asyncio.sleep(0.01)
    for message in "de":
        await asyncio.to_thread(client.bring, message)
    await asyncio.sleep(0.01)
    assert seen == list("abcde")
    assert [str(each) for each in broken] == ["b"]


async def test_messages_of_a_thread_arrive_in_order_while_the_loop_takes_them() -> None:
    seen: list[int] = []
    client: Any = Client()
    Stream(client, SETTINGS, on_message=seen.append, on_end=lambda: None)  # type: ignore[arg-type]

    def bring() -> None:
        for number in range(20_000):
            client.bring(number)

    await asyncio.to_thread(bring)
    assert seen == list(range(20_000))
