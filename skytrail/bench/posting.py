"""Posts files to an address, several at once: the sender of a measurement, as a process of its own."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sys
import time
from pathlib import Path

import aiohttp
import msgspec

AT_ONCE = 8
_OK = 200
_PAUSE_S = 0.05


class Orders(msgspec.Struct, frozen=True):
    """What the process is told, as JSON.

    Attributes:
        url: Where to post to.
        directory: Of the bodies, a file each.
        headers: Of every request.
        secret: Signs the time and the body of each request; empty: nothing is signed.
    """

    url: str
    directory: str
    headers: dict[str, str]
    secret: str = ""


def signed(secret: str, body: bytes) -> dict[str, str]:
    """Headers that say when a body was signed, and prove by whom."""
    stamp = str(int(time.time()))
    proof = hmac.digest(secret.encode(), b"%b.%b" % (stamp.encode(), body), hashlib.sha256)
    return {"X-Timestamp": stamp, "X-Signature": proof.hex()}


async def post(orders: Orders, bodies: list[bytes]) -> None:
    """Post each body until it is answered 200."""
    waiting = list(reversed(bodies))

    async def sender() -> None:
        while waiting:
            body = waiting.pop()
            while True:
                headers = orders.headers | (signed(orders.secret, body) if orders.secret else {})
                async with session.post(orders.url, data=body, headers=headers) as response:
                    await response.read()
                if response.status == _OK:
                    break
                await asyncio.sleep(_PAUSE_S)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(sender() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    told = msgspec.json.decode(sys.argv[1], type=Orders)
    asyncio.run(post(told, [path.read_bytes() for path in sorted(Path(told.directory).iterdir())]))
