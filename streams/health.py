"""The worker's endpoints: /livez, /readyz, /metrics, /version. No data, loopback unless configured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.progress import Progress
from streams.telemetry import Telemetry

Check = Callable[[], Awaitable[str]]
"""Answers in words what is missing; empty when ready."""


class HealthServer:
    """Serves the endpoints of one worker."""

    def __init__(
        self, progress: Progress, telemetry: Telemetry, *, ready: Check, version: dict[str, str], stuck_after_s: float
    ) -> None:
        """Build; `start` listens."""
        self._progress = progress
        self._telemetry = telemetry
        self._ready = ready
        self._version = version
        self._stuck_after_s = stuck_after_s
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port.

        Raises:
            OSError: The port is taken.
        """
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                web.get("/version", self._show_version),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        reason = self._progress.stuck(self._stuck_after_s)
        return web.Response(text=(reason or "ok") + "\n", status=503 if reason else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        missing = "no partitions assigned yet" if not self._progress.assigned else await self._ready()
        return web.Response(text=(missing or "ok") + "\n", status=503 if missing else 200)

    async def _metrics(self, _: web.Request) -> web.Response:
        body = generate_latest(self._telemetry.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _show_version(self, _: web.Request) -> web.Response:
        return web.json_response(self._version)
