"""A look at the settings before a collector starts, without a connection."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.transports.contract import Finding
from ingest.transports.gcs_listing.settings import GcsListingSettings
from ingest.transports.google_cloud.access import inspect_credentials
from ingest.transports.google_cloud.storage import refuse_unsafe_storage


def inspect(settings: GcsListingSettings) -> Iterator[Finding]:
    """Whether a client could be made.

    Raises:
        ConfigError: It could not: the credentials' file is missing or holds none, or logs would travel unencrypted.
    """
    refuse_unsafe_storage(settings.storage_endpoint)
    secrets = inspect_credentials(settings.credentials_file)
    yield Finding("ok", f"objects of gs://{settings.bucket}/{settings.prefix}", secret_files=secrets)
