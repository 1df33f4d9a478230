"""A look at the settings of a subscription, without a connection."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.transports.contract import Finding
from ingest.transports.google_cloud.access import inspect_credentials
from ingest.transports.google_cloud.stream import refuse_unsafe
from ingest.transports.pubsub.settings import PubSubSettings


def inspect(settings: PubSubSettings) -> Iterator[Finding]:
    """Whether a client could be made.

    Raises:
        ConfigError: It could not: the credentials' file is missing or holds none, or logs would travel unencrypted.
    """
    refuse_unsafe(settings)
    secrets = inspect_credentials(settings.credentials_file)
    yield Finding("ok", f"pulls from {settings.path}", secret_files=secrets)
