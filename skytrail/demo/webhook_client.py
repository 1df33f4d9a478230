"""Posts audit batches to the demo's webhook as an API server would: HTTPS, bearer token, again on 429."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from ingest.schema.errors import SourceUnavailable

TRIES = 360  # of half a second and more: a loaded machine takes a minute to start a process
OK, BUSY = 200, 429


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to post, and how to be believed."""

    url: str
    token: str
    certificate: Path


async def post_batches(endpoint: Endpoint, bodies: Sequence[bytes]) -> None:
    """Post every body until it is accepted.

    Raises:
        SourceUnavailable: The endpoint does not accept a body.
    """
    context = ssl.create_default_context(cafile=str(endpoint.certificate))
    headers = {"Authorization": f"Bearer {endpoint.token}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(ssl=context, limit=4)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        for body in bodies:
            await _post(session, endpoint.url, body)


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
    problem = ""
    for _ in range(TRIES):
        try:
            async with session.post(url, data=body) as answer:
                if answer.status == OK:
                    return
                problem = f"status {answer.status}"
                pause = float(answer.headers.get("Retry-After", "1")) if answer.status == BUSY else 1.0
        except aiohttp.ClientError as exc:
            problem, pause = repr(exc), 0.5
        await asyncio.sleep(pause)
    raise SourceUnavailable(f"posting an audit batch: {problem}", where=url)
