"""A reverse proxy on loopback that makes Elasticsearch a bad server: busy, failing, or silent after it did the work."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from types import TracebackType
from typing import Literal, Self

import aiohttp
from aiohttp import web

Fault = Literal["busy", "failing", "applied"]
_KEPT_HEADERS = {"authorization", "content-type", "accept"}


class FaultyElasticsearch:
    """Passes requests on; a share of the bulks gets 429, 503, or a cut connection after they were applied.

    Runs in a thread with a loop of its own, so that a test that waits does not stop it.

    Args:
        shares: Share of the bulks per fault; together at most 1.
    """

    def __init__(self, target: str, shares: dict[Fault, float], seed: int = 1) -> None:
        self._target = target
        self._shares = shares
        self._rng = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.url = ""
        self.done: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        assert self._runner is not None
        assert self._session is not None
        await self._runner.cleanup()
        await self._session.close()

    def _choose(self, request: web.Request) -> Fault | None:
        if not request.path.endswith("/_bulk"):
            return None
        at = self._rng.random()
        for fault, share in self._shares.items():
            if at < share:
                return fault
            at -= share
        return None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        fault = self._choose(request)
        self.done[fault or "passed"] += 1
        if fault == "busy":
            error = {"type": "es_rejected_execution_exception", "reason": "queue is full"}
            return web.json_response({"error": error, "status": 429}, status=429)
        if fault == "failing":
            return web.Response(status=503, text="no upstream")
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() in _KEPT_HEADERS}
        headers["accept-encoding"] = "identity"
        body = await request.read()
        url = self._target + request.raw_path
        async with self._session.request(request.method, url, data=body, headers=headers) as answer:
            told = await answer.read()
            if fault == "applied":
                assert request.transport is not None
                request.transport.abort()
            kept = {n: v for n, v in answer.headers.items() if n.lower() in ("content-type", "x-elastic-product")}
            return web.Response(status=answer.status, body=told, headers=kept)
