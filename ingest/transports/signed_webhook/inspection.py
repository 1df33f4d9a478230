"""A look at the certificates, the secrets and the scheme of the endpoint before it starts."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.transports.contract import Finding
from ingest.transports.endpoint.access import refuse_unsafe, tls_context
from ingest.transports.endpoint.secrets import SecretFile
from ingest.transports.signed_webhook.settings import SignedWebhookSettings
from ingest.transports.signed_webhook.signature import Scheme, keys_of


def inspect(settings: SignedWebhookSettings) -> Iterator[Finding]:
    """Whether the endpoint could listen, and for whom.

    Raises:
        ConfigError: It could not, or signatures could not be checked.
    """
    refuse_unsafe(settings, settings.secret_file)
    tls_context(settings)
    Scheme(settings)
    secrets = SecretFile(settings.secret_file, lambda _error: None, what="secrets").accepted()
    for source, _ in secrets:
        keys_of(secrets, source, settings.secret_encoding)
    files = tuple(file for file in (settings.secret_file, settings.key_file) if file is not None)
    yield Finding("ok", f"listens on {settings.host}:{settings.port}", secret_files=files)
