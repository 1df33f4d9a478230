"""Signed requests of anybody: an HTTPS endpoint for bodies with an HMAC-SHA256 over their time and bytes.

Request:  POST /webhook/<source-id>. Headers with time, signature and perhaps an id; the settings say which.
Answers:  200 once the brokers have the body, also for one that they have already (the same signature, the same id, or
          the same bytes as a request that was not answered in time). 401 where a header is missing or can't be read,
          403 where signature or time are wrong, 409 for an id that came with other bytes, 413 too large, 429 with
          Retry-After under pressure or while the brokers are away. The text of a refusal says why.
Replay:   A signature counts within `replay_window_s` of its time. Those that were answered 200 are remembered that
          long, in memory: after a restart a replay within the window is published again, its records are duplicates.
Delivery: At least once, if the sender repeats what was not answered 200. There is no spool.
Order:    None.
Tests:    tests/ingest/transports/signed_webhook/
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator

from aiohttp import web

from ingest.schema.envelope import Origin
from ingest.schema.errors import ConfigError, SourceRefused, SourceUnavailable
from ingest.transports.contract import Place
from ingest.transports.endpoint.access import refuse_unsafe
from ingest.transports.endpoint.posted import PostedTo
from ingest.transports.endpoint.secrets import SecretFile
from ingest.transports.endpoint.server import Endpoint, closing_response
from ingest.transports.messages.delivery import MessageDelivery
from ingest.transports.signed_webhook.memory import Memory
from ingest.transports.signed_webhook.settings import SignedWebhookSettings
from ingest.transports.signed_webhook.signature import Claim, Refusal, Scheme, keys_of

_NAME = "signed_webhook"
_PATH = "/webhook"
_CLAIM = web.RequestKey("claim", Claim)


async def open_transport(settings: SignedWebhookSettings, place: Place) -> SignedWebhook:
    """Listen.

    Raises:
        ConfigError: Unsafe or wrong settings, a port in use.
    """
    webhook = SignedWebhook(settings, place)
    await webhook.start()
    return webhook


class SignedWebhook(PostedTo):
    """The endpoint.

    Raises:
        ConfigError: Unsafe or wrong settings.
    """

    def __init__(self, settings: SignedWebhookSettings, place: Place) -> None:
        refuse_unsafe(settings, settings.secret_file)
        super().__init__(Endpoint(settings, _PATH, admit=self._admit, keep=self._keep))
        self._settings = settings
        self._place = place
        self._scheme = Scheme(settings)
        self._secrets = SecretFile(settings.secret_file, place.warn, what="secrets")
        self._answered = Memory(settings.replay_memory)
        self._waiting: deque[MessageDelivery] = deque()
        self._live: dict[bytes, tuple[MessageDelivery, asyncio.Future[bool]]] = {}
        self._unanswered: set[bytes] = set()
        self._wake = asyncio.Event()
        self._closing = False
        self._told_full = False

    async def deliveries(self) -> AsyncIterator[MessageDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        while not self._closing:
            self._wake.clear()
            if self._waiting:
                yield self._waiting.popleft()
            else:
                await self._wake.wait()

    async def close(self) -> None:
        """See `Transport.close`: what requests still wait for is answered 429, so it is the sender's again."""
        self._closing = True
        self._endpoint.refuse_new()
        self._wake.set()
        for _, kept in tuple(self._live.values()):
            _settle(kept, ok=False)
        self._live.clear()
        self._waiting.clear()
        await self._endpoint.close()

    def _admit(self, request: web.Request, source: str) -> web.Response | None:
        claim = self._scheme.claim(request.headers, self._now_s())
        if isinstance(claim, Refusal):
            return closing_response(claim.status, claim.why + "\n")
        if not self._keys(source):
            return closing_response(403, "no secret of this source is known\n")
        request[_CLAIM] = claim
        return None

    async def _keep(self, request: web.Request, source: str, body: bytes) -> web.Response:
        claim = request[_CLAIM]
        proof = self._scheme.proven_by(claim, body, self._keys(source))
        if proof is None:
            return closing_response(403, f"{self._settings.signature_header}: does not fit time and body\n")
        digest = hashlib.sha256(b"%b\0%b" % (source.encode(), body)).digest()
        known = self._answered.value(("id", source, claim.message_id), self._now_s()) if claim.message_id else None
        if known not in (None, digest):
            return web.Response(status=409, text=f"{self._settings.id_header}: came before with another body\n")
        if known or self._answered.value(("signature", proof), self._now_s()):
            return web.Response(status=200)
        if not self._answered.take(("late", digest), self._now_s()):
            kept = self._taken_over(source, digest, body, proof)
            if kept is None:
                return self._endpoint.busy()
            await asyncio.wait({kept}, timeout=self._settings.answer_within_s)
            if not kept.done():
                self._unanswered.add(digest)
            if not kept.done() or not kept.result():
                return self._endpoint.busy()
        self._remember(source, claim, proof, digest)
        return web.Response(status=200)

    def _taken_over(self, source: str, digest: bytes, body: bytes, proof: bytes) -> asyncio.Future[bool] | None:
        """What tells that the brokers have the body; None if there is no room for it.

        A sender that was not answered in time sends again, while the first one is still on its way: both wait for one.
        """
        if digest in self._live:
            self._unanswered.discard(digest)
            return self._live[digest][1]
        held = sum(len(delivery.body) for delivery, _ in self._live.values())
        if self._closing or len(self._live) >= self._settings.max_in_flight or self._full():
            return None
        if self._live and held + len(body) > self._settings.max_in_flight_bytes:
            return None
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        delivery = self._delivery_of(source, digest, body, proof, kept)
        self._live[digest] = (delivery, kept)
        self._waiting.append(delivery)
        self._wake.set()
        return kept

    def _delivery_of(
        self, source: str, digest: bytes, body: bytes, proof: bytes, kept: asyncio.Future[bool]
    ) -> MessageDelivery:
        locator = f"{_PATH}/{source}/{proof.hex()[:16]}"

        def settled() -> None:
            self._live.pop(digest, None)
            if digest in self._unanswered:  # its sender waits no more: the next attempt is told
                self._unanswered.discard(digest)
                self._answered.note(("late", digest), digest, self._now_s() + self._settings.replay_window_s)
            _settle(kept, ok=True)

        def returned(_delivery: MessageDelivery) -> None:
            self._live.pop(digest, None)
            self._unanswered.discard(digest)
            _settle(kept, ok=False)

        def given_up(reason: str) -> None:
            self._place.warn(SourceRefused(f"collecting request: given up: {reason}", where=locator))
            settled()

        return MessageDelivery(
            Origin(transport=_NAME, locator=locator),
            body,
            self._place.clock(),
            on_settled=settled,
            on_returned=returned,
            on_given_up=given_up,
            source=source,
        )

    def _remember(self, source: str, claim: Claim, proof: bytes, digest: bytes) -> None:
        until_s = max(self._now_s(), claim.signed_at) + self._settings.replay_window_s
        self._answered.note(("signature", proof), digest, until_s)
        if claim.message_id:
            self._answered.note(("id", source, claim.message_id), digest, until_s)

    def _full(self) -> bool:
        full = self._answered.full(self._now_s())
        if full and not self._told_full:
            what = f"remembering requests: {len(self._answered)} within the window, more are answered 429"
            mend = "raise replay_memory, or lower replay_window_s"
            self._place.warn(SourceUnavailable(what, where=f"{self._settings.host}:{self.port}", mend=mend))
        self._told_full = full
        return full

    def _keys(self, source: str) -> list[bytes]:
        try:
            return keys_of(self._secrets.accepted(), source, self._settings.secret_encoding)
        except ConfigError as exc:
            self._place.warn(exc)
            return []

    def _now_s(self) -> float:
        return self._place.clock().timestamp()


def _settle(kept: asyncio.Future[bool], *, ok: bool) -> None:
    if not kept.done():
        kept.set_result(ok)
