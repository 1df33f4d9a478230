"""Servers of a measurement: processes of their own on loopback, which end with the block that started them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from ingest.schema.errors import ConfigError, EngineError

_START_S: Final = 60.0


def program(name: str, mend: str) -> str:
    """Where a program is.

    Args:
        mend: How it is installed.

    Raises:
        ConfigError: It is not on the PATH.
    """
    found = shutil.which(name)
    if found is None:
        raise ConfigError(f"looking for {name}: it is not on the PATH", mend=mend)
    return found


@contextlib.asynccontextmanager
async def listening(command: Sequence[str], port: int, *, directory: Path | None = None) -> AsyncIterator[None]:
    """A server that accepts connections.

    Args:
        command: What starts it.
        port: Where it listens.
        directory: Where it runs; None: here.

    Raises:
        EngineError: It does not start.
    """
    nowhere = asyncio.subprocess.DEVNULL
    server = await asyncio.create_subprocess_exec(*command, cwd=directory, stdout=nowhere, stderr=nowhere)
    try:
        await _accepting(port, server, command[0])
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.terminate()
        await server.wait()


async def _accepting(port: int, server: asyncio.subprocess.Process, name: str) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START_S):
            while server.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.1)
                else:
                    writer.close()
                    return
    raise EngineError(f"starting {name}: it does not listen")
