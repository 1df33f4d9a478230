"""Posts files to an address, several at once: the sender of a measurement, as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp

AT_ONCE = 8
_OK = 200
_PAUSE_S = 0.05


async def post(url: str, token: str, bodies: list[bytes]) -> None:
    """Post each body until it is answered 200."""
    waiting = list(reversed(bodies))

    async def sender() -> None:
        while waiting:
            body = waiting.pop()
            while True:
                async with session.post(url, data=body, headers={"Authorization": f"Bearer {token}"}) as response:
                    await response.read()
                if response.status == _OK:
                    break
                await asyncio.sleep(_PAUSE_S)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(sender() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    address, word, directory = sys.argv[1:]
    asyncio.run(post(address, word, [path.read_bytes() for path in sorted(Path(directory).iterdir())]))
