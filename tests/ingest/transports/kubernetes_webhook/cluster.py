"""A webhook endpoint in a directory, and an API server that posts to it over real TLS."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from ingest.transports.kubernetes_webhook.settings import KubernetesWebhookSettings
from ingest.transports.kubernetes_webhook.transport import KubernetesWebhook
from tests.ingest.fakes import Told
from tests.ingest.transports.authority import Authority

TOKEN = "0123456789abcdef-token"
BATCH = b'{"kind":"EventList","items":[{"auditID":"1"},{"auditID":"2"}]}\n'


@dataclass
class Cluster:
    """An endpoint in its directory and an API server that posts to it."""

    directory: Path
    options: dict[str, object] = field(default_factory=dict)
    authority: Authority = field(init=False)
    told: Told = field(init=False)
    certificate: tuple[Path, Path] = field(init=False)

    def __post_init__(self) -> None:
        self.authority = Authority(self.directory, "ours")
        self.certificate = self.authority.issue("endpoint")
        self.told = Told(self.directory)
        (self.directory / "tokens").write_text(f"# tokens\n{TOKEN}\nprod {TOKEN}-of-prod\n")

    def settings(self, **changes: object) -> KubernetesWebhookSettings:
        values: dict[str, object] = {
            "port": 0,
            "certificate_file": self.certificate[0],
            "key_file": self.certificate[1],
            "token_file": self.directory / "tokens",
            "spool_after_s": 0.3,
            "body_timeout_s": 0.5,
        }
        return KubernetesWebhookSettings.model_validate(values | self.options | changes)

    async def open(self, **changes: object) -> KubernetesWebhook:
        webhook = KubernetesWebhook(self.settings(**changes), self.told.place)
        await webhook.start()
        return webhook

    async def post(
        self,
        webhook: KubernetesWebhook,
        body: bytes,
        *,
        source: str = "prod",
        token: str = TOKEN,
        client: tuple[Path, Path] | None = None,
        **options: object,
    ) -> aiohttp.ClientResponse:
        """Post as the API server does; the response is read."""
        context = self.authority.trusting(client)
        url = f"https://127.0.0.1:{webhook.port}/k8s/{source}?timeout=30s"
        headers = {"Authorization": f"Bearer {token}"} | dict(options.pop("headers", {}))  # type: ignore[call-overload]
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
            session.post(url, data=body, headers=headers, **options) as response,  # type: ignore[arg-type]
        ):
            await response.read()
            return response
