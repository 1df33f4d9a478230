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
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from ingest.schema.errors import StoreUnavailable
from ingest.spool import Spool, Ticket
from ingest.transports.contract import Place
from ingest.transports.endpoint.access import Tokens, refuse_unsafe
from ingest.transports.endpoint.posted import PostedTo
from ingest.transports.endpoint.server import Endpoint, closing_response
from ingest.transports.kubernetes_webhook.delivery import Posted, WebhookDelivery
from ingest.transports.kubernetes_webhook.settings import KubernetesWebhookSettings
from ingest.transports.leftover import Leftover, leftover_in
from ingest.transports.spooled import damage, decode, encode

_PATH = "/k8s"
_COMPARE = "check the disk; compare what the API server's own audit log has of that time"
_SENT_AGAIN = "nothing: that body was never answered with 200, so the API server sent it again"


async def open_transport(settings: KubernetesWebhookSettings, place: Place) -> KubernetesWebhook:
    """Listen, with the spool of this collector.

    Raises:
        ConfigError: Unsafe or wrong settings, a port in use, a spool that another process has.
    """
    webhook = KubernetesWebhook(settings, place)
    await webhook.start()
    return webhook


def open_leftover(settings: KubernetesWebhookSettings, place: Place) -> Leftover | None:
    """What its spool holds, without listening.

    Raises:
        ConfigError: Another process has the spool.
    """

    def delivery(payload: bytes, ticket: Ticket, spool: Spool) -> WebhookDelivery:
        posted = decode(payload, Posted, ticket)
        return WebhookDelivery(posted, spool, on_settled=lambda _delivery: None, warn=place.warn, ticket=ticket)

    return leftover_in(_directory(settings, place), settings.spool_max_bytes, delivery)


def _directory(settings: KubernetesWebhookSettings, place: Place) -> Path:
    return settings.spool_dir or place.state_dir / "spool" / place.name


class KubernetesWebhook(PostedTo):
    """The endpoint."""

    def __init__(self, settings: KubernetesWebhookSettings, place: Place) -> None:
        refuse_unsafe(settings, settings.token_file)
        super().__init__(Endpoint(settings, _PATH, admit=self._admit, keep=self._keep))
        self._settings = settings
        self._place = place
        self._tokens = Tokens(settings.token_file, place.warn) if settings.token_file else None
        self._spool: Spool | None = None
        self._direct: deque[WebhookDelivery] = deque()
        self._live: set[WebhookDelivery] = set()
        self._wake = asyncio.Event()
        self._closing = False

    async def start(self) -> None:
        """Open the spool and listen.

        Raises:
            ConfigError: A port in use, a spool that another process has.
        """
        directory = _directory(self._settings, self._place)
        self._spool = await asyncio.to_thread(Spool, directory, self._settings.spool_max_bytes)
        if broken := damage(self._spool, directory, torn=_SENT_AGAIN, damaged=_COMPARE):
            self._place.warn(broken)
        try:
            await super().start()
        except BaseException:
            await self.close()
            raise

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
        self._endpoint.refuse_new()
        self._wake.set()
        for delivery in tuple(self._live):
            await delivery.reject("the transport closes", retry=True)
        self._direct.clear()
        await self._endpoint.close()
        spool, self._spool = self._spool, None
        if spool is not None:
            await spool.close()

    @property
    def spooled(self) -> int:
        """Bodies that wait in the spool."""
        return self._spool.pending if self._spool else 0

    def _admit(self, request: web.Request, source: str) -> web.Response | None:
        if self._tokens is None or self._tokens.allow(source, request.headers.get("Authorization", "")):
            return None
        response = closing_response(401)
        response.headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 §15.5.2
        return response

    async def _keep(self, request: web.Request, source: str, body: bytes) -> web.Response:
        """Make a body durable, in the brokers or in the spool, and say so."""
        del request
        posted = Posted(source, self._place.clock(), body)
        spool = self._spool
        if spool is None:
            return self._endpoint.busy()
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
            return self._endpoint.busy()
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
            decode(payload, Posted, ticket),
            self._spool,
            on_settled=lambda _delivery: self._wake.set(),
            warn=self._place.warn,
            ticket=ticket,
        )
