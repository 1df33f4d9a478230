"""The endpoint for signed requests, beside a bare aiohttp server that checks time and signature and answers 200."""

from __future__ import annotations

import hashlib
import hmac
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from aiohttp import web

from ingest.transports.contract import Place
from ingest.transports.signed_webhook.settings import SignedWebhookSettings
from ingest.transports.signed_webhook.transport import SignedWebhook, open_transport
from skytrail.bench.collecting import Load
from skytrail.bench.posted import SECRET, Manner, Posted, posted

_WINDOW_S = 300


def opened(load: Load) -> AbstractAsyncContextManager[Posted]:
    """A request per body, signed when it is sent."""
    return posted(Manner("/webhook", _listening, _bare, {}, SECRET), load.bodies(), load.size)


async def _listening(secrets: Path, place: Place) -> SignedWebhook:
    settings = SignedWebhookSettings(port=0, allow_plain_http=True, secret_file=secrets, replay_window_s=_WINDOW_S)
    return await open_transport(settings, place)


def _bare(request: web.Request, body: bytes) -> tuple[int, web.Response]:
    stamp = request.headers.get("X-Timestamp", "0")
    right = hmac.digest(SECRET.encode(), b"%b.%b" % (stamp.encode(), body), hashlib.sha256).hex()
    if abs(time.time() - int(stamp)) > _WINDOW_S or not hmac.compare_digest(
        right, request.headers.get("X-Signature", "")
    ):
        return 0, web.Response(status=403)
    return len(body), web.Response(status=200)
