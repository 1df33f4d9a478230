"""An endpoint for signed requests, and a sender that signs as its documents say."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from ingest.transports.contract import Place
from ingest.transports.signed_webhook.settings import SignedWebhookSettings
from ingest.transports.signed_webhook.transport import SignedWebhook
from tests.ingest.fakes import NOW, Told
from tests.ingest.transports.authority import Authority
from tests.ingest.transports.contract import Harness

SECRET = "0123456789abcdef-secret"


@dataclass
class Sender(Harness):
    """Signs and posts over real TLS; `send` repeats in the background what is not answered 200, as a good sender does.

    Attributes:
        now: What both clocks say.
    """

    directory: Path
    options: dict[str, object] = field(default_factory=dict)
    now: dt.datetime = NOW

    def __post_init__(self) -> None:
        self.authority = Authority(self.directory, "ours")
        self.certificate = self.authority.issue("endpoint")
        self.told = Told(self.directory)
        (self.directory / "secrets").write_text(f"shop {SECRET}\nbank {SECRET}-of-bank\n")
        self.webhook: SignedWebhook | None = None
        self._repeating: set[asyncio.Task[None]] = set()

    def settings(self, **changes: object) -> SignedWebhookSettings:
        values: dict[str, object] = {
            "port": 0,
            "certificate_file": self.certificate[0],
            "key_file": self.certificate[1],
            "secret_file": self.directory / "secrets",
            "body_timeout_s": 0.5,
        }
        return SignedWebhookSettings.model_validate(values | self.options | changes)

    async def open(self, **changes: object) -> SignedWebhook:
        place = Place("mine", self.directory, self.told.warnings.append, lambda: self.now)
        self.webhook = SignedWebhook(self.settings(**changes), place)
        await self.webhook.start()
        return self.webhook

    def headers(self, body: bytes, *, secret: str = SECRET, at: dt.datetime | None = None) -> dict[str, str]:
        stamp = str(int((at or self.now).timestamp()))
        signature = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {"X-Timestamp": stamp, "X-Signature": signature}

    async def post(
        self,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        source: str = "shop",
        client: tuple[Path, Path] | None = None,
    ) -> tuple[int, str]:
        """Status and text of the answer."""
        assert self.webhook
        url = f"https://127.0.0.1:{self.webhook.port}/webhook/{source}"
        connector = aiohttp.TCPConnector(ssl=self.authority.trusting(client))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(url, data=body, headers=self.headers(body) if headers is None else headers) as response,
        ):
            return response.status, await response.text()

    async def send(self, bodies: list[bytes]) -> None:
        for body in bodies:
            task = asyncio.create_task(self._repeat(body))
            self._repeating.add(task)
            task.add_done_callback(self._repeating.discard)

    async def _repeat(self, body: bytes) -> None:
        while True:
            try:
                if (await self.post(body))[0] == 200:
                    return
            except (aiohttp.ClientError, OSError):
                pass
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        for task in self._repeating:
            task.cancel()
        await asyncio.gather(*self._repeating, return_exceptions=True)


def standard(secret: bytes, message_id: str, at: dt.datetime, body: bytes) -> dict[str, str]:
    """Headers as https://www.standardwebhooks.com has them."""
    stamp = str(int(at.timestamp()))
    signed = f"{message_id}.{stamp}.".encode() + body
    signature = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": f"v1a,unknown v1,{signature}"}
