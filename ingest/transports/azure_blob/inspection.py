"""A look at the settings of a collector of blobs before it starts, without a connection."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.transports.azure.containers import container_url
from ingest.transports.azure.credentials import connection_string
from ingest.transports.azure_blob.settings import AzureBlobSettings
from ingest.transports.contract import Finding


def inspect(settings: AzureBlobSettings) -> Iterator[Finding]:
    """Whether the address and the connection string are such.

    Raises:
        ConfigError: They are not.
    """
    account, container = container_url(settings.container_url)
    file = settings.connection_string_file
    if file is not None:
        connection_string(file)
    whom = "a connection string" if file else "the identity of the machine"
    where = f"{container}/{settings.prefix}" if settings.prefix else container
    yield Finding("ok", f"{where} at {account}, as {whom}", secret_files=(file,) if file else ())
