"""The endpoint for API servers, beside a bare aiohttp server that compares the token and answers 200."""

from __future__ import annotations

import hmac
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from aiohttp import web

from ingest.transports.contract import Place
from ingest.transports.kubernetes_webhook.settings import KubernetesWebhookSettings
from ingest.transports.kubernetes_webhook.transport import KubernetesWebhook, open_transport
from skytrail.bench.collecting import Load
from skytrail.bench.posted import SECRET, Manner, Posted, posted

_BEARER = f"Bearer {SECRET}"


def opened(load: Load) -> AbstractAsyncContextManager[Posted]:
    """A request per body."""
    return posted(Manner("/k8s", _listening, _bare, {"Authorization": _BEARER}), load.bodies(), load.size)


async def _listening(secrets: Path, place: Place) -> KubernetesWebhook:
    settings = KubernetesWebhookSettings(port=0, allow_plain_http=True, token_file=secrets)
    return await open_transport(settings, place)


def _bare(request: web.Request, body: bytes) -> tuple[int, web.Response]:
    if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), _BEARER.encode()):
        return 0, web.Response(status=401)
    return len(body), web.Response(status=200)
