"""An HTTPS endpoint that takes bodies in within limits, and counts its answers.

Who may post, and what an accepted body is answered, is the transport's; what is too large, too slow or too much at once
is refused here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web

from ingest.schema.errors import ConfigError
from ingest.transports.endpoint.access import tls_context
from ingest.transports.endpoint.settings import EndpointSettings

SOURCE_ID = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_KEEP_ALIVE_S = 75.0  # longer than a sender's pause between requests; also ends a header that never does
_SHUTDOWN_S = 10.0


class Endpoint:
    """Listens for `POST <path>/<source-id>` and `GET /healthz`.

    Args:
        path: What stands before the source id.
        admit: Looks at a request before its body is read; its answer refuses it, None lets it go on.
        keep: Makes a body durable and answers.
        finish: Brings every answer into the shape that the sender expects; None: as it is.

    Attributes:
        port: Where it listens, once started.
        requests: Requests that are worked on.
        answers: Answers given, by status.

    Raises:
        ConfigError: A certificate can't be read.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        path: str,
        *,
        admit: Callable[[web.Request, str], web.Response | None],
        keep: Callable[[web.Request, str, bytes], Awaitable[web.Response]],
        finish: Callable[[web.Request, web.Response], None] | None = None,
    ) -> None:
        self._settings = settings
        self._path = path
        self._admit = admit
        self._keep = keep
        self._finish = finish
        self._tls = tls_context(settings)
        self._runner: web.AppRunner | None = None
        self._closing = False
        self._bytes = 0
        self.port = settings.port
        self.requests = 0
        self.answers: Counter[int] = Counter()

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: A port in use.
        """
        application = web.Application(client_max_size=self._settings.max_body_bytes)
        application.router.add_post(f"{self._path}/{{source:{SOURCE_ID}}}", self._post)
        application.router.add_get("/healthz", self._healthz)
        # auto_decompress off: the bytes are kept as received, and inflating is bounded where formats begin.
        self._runner = web.AppRunner(
            application,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=_KEEP_ALIVE_S,
            shutdown_timeout=_SHUTDOWN_S,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port, ssl_context=self._tls)
        try:
            await site.start()
        except OSError as exc:
            await self.close()
            where = f"host {self._settings.host}, port {self._settings.port}"
            mend = "choose another port or end what listens there"
            raise ConfigError(f"listening: {exc.strerror or exc}", where=where, mend=mend) from exc
        self.port = self._runner.addresses[0][1]

    def refuse_new(self) -> None:
        """From now on every request is answered 429."""
        self._closing = True

    async def close(self) -> None:
        """Let the answers under way go out, then stop listening."""
        self._closing = True
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def busy(self) -> web.Response:
        """429: come again."""
        return web.Response(status=429, headers={"Retry-After": str(self._settings.retry_after_s)})

    async def _healthz(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text="ok\n")

    async def _post(self, request: web.Request) -> web.Response:
        response = await self._answer(request, request.match_info["source"])
        self.answers[response.status] += 1
        if self._finish is not None:
            self._finish(request, response)
        return response

    async def _answer(self, request: web.Request, source: str) -> web.Response:
        refusal = self._admit(request, source)
        if refusal is not None:
            return refusal
        size = request.content_length
        if size is None:
            size = self._settings.max_body_bytes  # chunked: reserve the most it may become
        if size > self._settings.max_body_bytes:
            return closing_response(413)
        if (
            self._closing
            or self.requests >= self._settings.max_in_flight
            or (self.requests and self._bytes + size > self._settings.max_in_flight_bytes)
        ):
            return self.busy()
        self.requests += 1
        self._bytes += size
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                body = await request.read()
            return await self._keep(request, source, body)
        except TimeoutError:
            return closing_response(408)
        except web.HTTPRequestEntityTooLarge:
            return closing_response(413)
        finally:
            self.requests -= 1
            self._bytes -= size


def closing_response(status: int, text: str = "") -> web.Response:
    """An answer that ends the connection: what follows on it may be an unread body."""
    response = web.Response(status=status, text=text or None)
    response.force_close()
    return response
