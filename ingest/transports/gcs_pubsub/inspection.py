"""A look at the settings before a collector starts, without a connection."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.transports.contract import Finding
from ingest.transports.gcs_pubsub.settings import GcsPubSubSettings
from ingest.transports.google_cloud.access import inspect_credentials
from ingest.transports.google_cloud.storage import refuse_unsafe_storage
from ingest.transports.google_cloud.stream import refuse_unsafe


def inspect(settings: GcsPubSubSettings) -> Iterator[Finding]:
    """Whether clients could be made.

    Raises:
        ConfigError: They could not: the credentials' file is missing or holds none, or logs would travel unencrypted.
    """
    refuse_unsafe(settings)
    refuse_unsafe_storage(settings.storage_endpoint)
    secrets = inspect_credentials(settings.credentials_file)
    yield Finding("ok", f"objects that {settings.path} announces", secret_files=secrets)
