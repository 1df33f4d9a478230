"""A look at the certificates and tokens of the endpoint before it starts."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.transports.contract import Finding
from ingest.transports.endpoint.access import Tokens, refuse_unsafe, tls_context
from ingest.transports.kubernetes_webhook.settings import KubernetesWebhookSettings


def inspect(settings: KubernetesWebhookSettings) -> Iterator[Finding]:
    """Whether the endpoint could listen, and for whom.

    Raises:
        ConfigError: It could not, or for everybody.
    """
    refuse_unsafe(settings, settings.token_file)
    tls_context(settings)
    if settings.token_file is not None:
        Tokens(settings.token_file, lambda _error: None)
    secrets = tuple(file for file in (settings.token_file, settings.key_file) if file is not None)
    yield Finding("ok", f"listens on {settings.host}:{settings.port}", secret_files=secrets)
