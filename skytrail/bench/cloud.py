"""AWS on this machine for a measurement: moto as a process of its own, and credentials that it takes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any, Final

import boto3

from ingest.schema.errors import ConfigError, EngineError
from skytrail.local.ports import any_free
from skytrail.settings import environment_with

REGION: Final = "eu-central-1"
ACCOUNT: Final = "123456789012"
_KEY: Final = "bench"
_START_S: Final = 180.0


@contextlib.asynccontextmanager
async def cloud() -> AsyncIterator[str]:
    """The address of a server, which ends with the block.

    Raises:
        ConfigError: moto is not installed.
        EngineError: It does not start.
    """
    if importlib.util.find_spec("moto") is None:
        raise ConfigError("looking for moto: it is not installed", mend="`uv sync` in a clone installs it")
    port = any_free()
    address = f"http://127.0.0.1:{port}"
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    credentials = {"AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _KEY, "AWS_EC2_METADATA_DISABLED": "true"}
    try:
        await _answering(address, server)
        with environment_with(credentials):
            yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.terminate()
        await server.wait()


def client(service: str, address: str) -> Any:
    """A client of the SDK, made anew: making it is part of what is measured."""
    session = boto3.session.Session(aws_access_key_id=_KEY, aws_secret_access_key=_KEY, region_name=REGION)
    return session.client(service, endpoint_url=address)


async def _answering(address: str, server: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_START_S):
        while server.returncode is None:
            try:
                await asyncio.to_thread(urllib.request.urlopen, f"{address}/moto-api/data.json", timeout=10)
            except (urllib.error.URLError, ConnectionError):
                await asyncio.sleep(0.2)
            else:
                return
    raise EngineError("starting moto: it ended")
