"""The endpoint for API servers, beside a bare aiohttp server that reads each body and answers 200."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from ingest.schema.errors import EngineError
from ingest.transports.contract import Place, Transport
from ingest.transports.kubernetes_webhook.settings import KubernetesWebhookSettings
from ingest.transports.kubernetes_webhook.transport import open_transport
from skytrail.bench.collecting import Load

_TOKEN = "a-token-of-the-measurement"  # noqa: S105 - of an endpoint on loopback that lives for seconds


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Posted]:
    """Bodies in a directory, which another process posts."""
    with tempfile.TemporaryDirectory() as folder:
        posted = Posted(Path(folder), load)
        try:
            yield posted
        finally:
            await posted.end()


class Posted:
    """See `Source`."""

    sdk = "aiohttp server"

    def __init__(self, directory: Path, load: Load) -> None:
        self._token_file = directory / "tokens"
        self._token_file.write_text(f"{_TOKEN}\n")
        self._bodies = directory / "bodies"
        self._bodies.mkdir()
        self.size = 0
        for number, body in enumerate(load.bodies()):
            (self._bodies / f"{number:06}.json").write_bytes(body)
            self.size += len(body)
        self._sender: asyncio.subprocess.Process | None = None

    async def fill(self) -> None:
        """Let the last sender end; the next one starts when there is somebody to post to."""
        await self.end()

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        settings = KubernetesWebhookSettings(port=0, allow_plain_http=True, token_file=self._token_file)
        transport = await open_transport(settings, place)
        await self._post(transport.port)
        return transport

    async def alone(self) -> int:
        """See `Source.alone`."""
        taken = 0
        all_taken = asyncio.Event()

        async def take(request: web.Request) -> web.Response:
            nonlocal taken
            taken += len(await request.read())
            if taken >= self.size:
                all_taken.set()
            return web.Response(status=200)

        application = web.Application(client_max_size=self.size)
        application.router.add_post("/k8s/{source}", take)
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
        command = ("-m", "skytrail.bench.posting", f"http://127.0.0.1:{port}/k8s/bench", _TOKEN, str(self._bodies))
        self._sender = await asyncio.create_subprocess_exec(sys.executable, *command)
