"""Bodies that a process posts, to a transport or to a bare aiohttp server that judges them as shortly as one can.

Both listen on loopback without TLS, which would cost both the same and hide what the transport costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web

from ingest.schema.errors import EngineError
from ingest.transports.contract import Place, Transport
from ingest.transports.endpoint.posted import PostedTo
from skytrail.bench.posting import Orders

SECRET = "a-secret-of-the-measurement"  # noqa: S105 - of an endpoint on loopback that lives for seconds
_SOURCE = "bench"


@dataclass(frozen=True, slots=True)
class Manner:
    """How one kind of endpoint is posted to.

    Attributes:
        path: What stands before the source id.
        listening: Opens the transport; it is told a file that holds `SECRET`.
        bare: Judges a request with nothing but the standard library: the bytes it brought, and the answer. A request
            that it refuses brought none.
        headers: Of every request.
        secret: What requests are signed with; empty: they are not.
    """

    path: str
    listening: Callable[[Path, Place], Awaitable[PostedTo]]
    bare: Callable[[web.Request, bytes], tuple[int, web.Response]]
    headers: Mapping[str, str]
    secret: str = ""


@contextlib.asynccontextmanager
async def posted(manner: Manner, bodies: Iterable[bytes], size: int) -> AsyncIterator[Posted]:
    """Bodies in a directory, which another process posts.

    Args:
        bodies: Of the requests.
        size: Bytes that they bring.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Posted(manner, Path(folder), bodies, size)
        try:
            yield source
        finally:
            await source.end()


class Posted:
    """See `Source`."""

    sdk = "aiohttp server"

    def __init__(self, manner: Manner, directory: Path, bodies: Iterable[bytes], size: int) -> None:
        self._manner = manner
        self._secret_file = directory / "secrets"
        self._secret_file.write_text(f"{SECRET}\n")
        self._bodies = directory / "bodies"
        self._bodies.mkdir()
        for number, body in enumerate(bodies):
            (self._bodies / f"{number:06}").write_bytes(body)
        self.size = size
        self._sender: asyncio.subprocess.Process | None = None

    async def fill(self) -> None:
        """Let the last sender end; the next one starts when there is somebody to post to."""
        await self.end()

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        transport = await self._manner.listening(self._secret_file, place)
        await self._post(transport.port)
        return transport  # type: ignore[return-value]

    async def alone(self) -> int:
        """See `Source.alone`."""
        taken = 0
        all_taken = asyncio.Event()

        async def take(request: web.Request) -> web.Response:
            nonlocal taken
            brought, answer = self._manner.bare(request, await request.read())
            taken += brought
            if taken >= self.size:
                all_taken.set()
            return answer

        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_post(f"{self._manner.path}/{{source}}", take)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            await self._post(runner.addresses[0][1])
            await all_taken.wait()
        finally:
            await runner.cleanup()
        return taken

    async def end(self) -> None:
        """Wait for the sender.

        Raises:
            EngineError: It ended badly.
        """
        sender, self._sender = self._sender, None
        if sender is not None and await sender.wait():
            raise EngineError("measuring: the process that posts ended badly")

    async def _post(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}{self._manner.path}/{_SOURCE}"
        orders = Orders(url, str(self._bodies), dict(self._manner.headers), self._manner.secret)
        command = (sys.executable, "-m", "skytrail.bench.posting", msgspec.json.encode(orders).decode())
        self._sender = await asyncio.create_subprocess_exec(*command)
