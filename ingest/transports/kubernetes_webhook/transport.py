"""The audit webhook of a Kubernetes API server: an HTTPS endpoint for batches of audit events.

Request:  POST /k8s/<source-id>, `audit.k8s.io/v1` EventList, at most 400 events; bearer token or client certificate
          https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#webhook-backend
Answers:  200 only for what survives a crash: in the brokers or, while they are away, in the fsynced spool, which drains
          in order afterwards. The API server tries a batch 5 times within about 95 s and then drops it, whatever the
          code; only 429 with Retry-After is honoured beyond that, so pressure is answered with it. A body that is no
          JSON is kept as a dead letter and answered 200: a 400 would be sent again 5 times and then be lost.
Order:    Not kept, neither by the API server nor here: while the spool drains, new batches go through it as well, but a
          batch that timed out towards the brokers may arrive later than its successors. Use `stageTimestamp`.
Delivery: At least once; the API server repeats what is not answered within 30 s.
Tests:    tests/ingest/transports/test_kubernetes_webhook*.py
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from ingest.schema.errors import ConfigError, IntegrityError, StoreUnavailable
from ingest.spool import Spool
from ingest.transports.contract import Place
from ingest.transports.endpoint.access import Tokens, refuse_unsafe, tls_context
from ingest.transports.kubernetes_webhook.delivery import Posted, WebhookDelivery, decode, encode
from ingest.transports.kubernetes_webhook.settings import KubernetesWebhookSettings

_SOURCE_ID = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_KEEP_ALIVE_S = 75.0  # longer than the API server's pause between batches; also ends a header that never does
_SHUTDOWN_S = 10.0


async def open_transport(settings: KubernetesWebhookSettings, place: Place) -> KubernetesWebhook:
    """Listen, with the spool of this collector.

    Raises:
        ConfigError: Unsafe or wrong settings, a port in use, a spool that another process has.
    """
    webhook = KubernetesWebhook(settings, place)
    await webhook.start()
    return webhook


class KubernetesWebhook:
    """The endpoint.

    Attributes:
        port: Where it listens, once started.
        answers: Answers given, by status.
    """

    def __init__(self, settings: KubernetesWebhookSettings, place: Place) -> None:
        refuse_unsafe(settings, settings.token_file)
        self._settings = settings
        self._place = place
        self._tls = tls_context(settings)
        self._tokens = Tokens(settings.token_file, place.warn) if settings.token_file else None
        self._spool: Spool | None = None
        self._runner: web.AppRunner | None = None
        self._direct: deque[WebhookDelivery] = deque()
        self._live: set[WebhookDelivery] = set()
        self._wake = asyncio.Event()
        self._closing = False
        self._requests = 0
        self._request_bytes = 0
        self.port = settings.port
        self.answers: Counter[int] = Counter()

    async def start(self) -> None:
        """Open the spool and listen.

        Raises:
            ConfigError: A port in use, a spool that another process has.
        """
        directory = self._settings.spool_dir or self._place.state_dir / "spool" / self._place.name
        self._spool = await asyncio.to_thread(Spool, directory, self._settings.spool_max_bytes)
        self._tell_recovery(directory)
        application = web.Application(client_max_size=self._settings.max_body_bytes)
        application.router.add_post(f"/k8s/{{source:{_SOURCE_ID}}}", self._post)
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

    async def deliveries(self) -> AsyncIterator[WebhookDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        while not self._closing:
            self._wake.clear()
            if self._direct:
                yield self._direct.popleft()
            elif (spooled := await self._from_spool()) is not None:
                yield spooled
            else:
                await self._wake.wait()

    async def close(self) -> None:
        """See `Transport.close`: what requests still wait for goes to the spool."""
        self._closing = True
        self._wake.set()
        for delivery in tuple(self._live):
            await delivery.reject("the transport closes", retry=True)
        self._direct.clear()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        spool, self._spool = self._spool, None
        if spool is not None:
            await spool.close()

    @property
    def spooled(self) -> int:
        """Bodies that wait in the spool."""
        return self._spool.pending if self._spool else 0

    async def _healthz(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text="ok\n")

    async def _post(self, request: web.Request) -> web.Response:
        response = await self._answer(request)
        self.answers[response.status] += 1
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        source = request.match_info["source"]
        if self._tokens and not self._tokens.allow(source, request.headers.get("Authorization", "")):
            return _closing_response(401)
        size = request.content_length
        if size is None:
            size = self._settings.max_body_bytes  # chunked: reserve the most it may become
        if size > self._settings.max_body_bytes:
            return _closing_response(413)
        if (
            self._closing
            or self._requests >= self._settings.max_in_flight
            or (self._requests and self._request_bytes + size > self._settings.max_in_flight_bytes)
        ):
            return self._busy()
        self._requests += 1
        self._request_bytes += size
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                body = await request.read()
            return await self._keep(Posted(source, self._place.clock(), body))
        except TimeoutError:
            return _closing_response(408)
        except web.HTTPRequestEntityTooLarge:
            return _closing_response(413)
        finally:
            self._requests -= 1
            self._request_bytes -= size

    async def _keep(self, posted: Posted) -> web.Response:
        """Make a body durable, in the brokers or in the spool, and say so."""
        spool = self._spool
        if spool is None:
            return self._busy()
        delivery: WebhookDelivery | None = None
        if not spool.pending and len(self._live) < self._settings.max_in_flight and not self._closing:
            delivery = WebhookDelivery(posted, spool, on_settled=self._live.discard, warn=self._place.warn)
            self._live.add(delivery)
            self._direct.append(delivery)
            self._wake.set()
            await asyncio.wait({delivery.kept}, timeout=self._settings.spool_after_s)
            if delivery.kept.done() and delivery.kept.result():
                return web.Response(status=200)
        try:
            ticket = await spool.append(encode(posted), claimed=delivery is not None)
        except StoreUnavailable as exc:
            self._place.warn(exc)
            return self._busy()
        if delivery is not None:
            await delivery.spooled(ticket)
        self._wake.set()
        return web.Response(status=200)

    async def _from_spool(self) -> WebhookDelivery | None:
        if self._spool is None or not self._spool.pending:
            return None
        found = await self._spool.take()
        if found is None:
            return None
        ticket, payload = found
        return WebhookDelivery(
            decode(payload, ticket),
            self._spool,
            on_settled=lambda _delivery: self._wake.set(),
            warn=self._place.warn,
            ticket=ticket,
        )

    def _busy(self) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": str(self._settings.retry_after_s)})

    def _tell_recovery(self, directory: Path) -> None:
        recovery = self._spool.recovery if self._spool else None
        if recovery is None or not (recovery.torn_bytes or recovery.damaged):
            return
        what = f"recovering spool: {recovery.frames} bodies wait, {recovery.torn_bytes} bytes of an unfinished one cut"
        if recovery.damaged:
            what += f", damaged bytes set aside in {', '.join(path.name for path in recovery.damaged)}"
            mend = "check the disk; compare what the API server's own audit log has of that time"
        else:
            mend = "nothing: that body was never answered with 200, so the API server sent it again"
        self._place.warn(IntegrityError(what, where=str(directory), mend=mend))


def _closing_response(status: int) -> web.Response:
    """An answer without detail that ends the connection: what follows on it may be an unread body."""
    response = web.Response(status=status)
    if status == 401:  # noqa: PLR2004 - as in RFC 9110 §15.5.2
        response.headers["WWW-Authenticate"] = "Bearer"
    response.force_close()
    return response
