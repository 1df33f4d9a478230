"""The double as a process: NAME PORT FILE; its only partition holds an event for each line of the file."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.doubles.event_hubs.hub import Hub
from tests.doubles.event_hubs.server import Server


async def serve(name: str, port: int, lines: list[bytes]) -> None:
    """Serve until the process is ended."""
    hub = Hub(name, 1)
    for line in lines:
        hub.put(line)
    await Server(hub, port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    own_name, own_port, file = sys.argv[1:]
    asyncio.run(serve(own_name, int(own_port), Path(file).read_bytes().splitlines(keepends=True)))
