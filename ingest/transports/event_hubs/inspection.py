"""A look at the settings of a collector of Event Hubs before it starts, without a connection."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.transports.azure.containers import container_url
from ingest.transports.azure.credentials import connection_string
from ingest.transports.contract import Finding
from ingest.transports.event_hubs.client import host_of
from ingest.transports.event_hubs.settings import EventHubsSettings


def inspect(settings: EventHubsSettings) -> Iterator[Finding]:
    """Whether the addresses and connection strings are such.

    Raises:
        ConfigError: They are not.
    """
    host, _ = host_of(settings)
    container_url(settings.checkpoint_container_url)
    files = (settings.connection_string_file, settings.checkpoint_connection_string_file)
    secrets = tuple(file for file in files if file is not None)
    for file in secrets:
        connection_string(file)
    if settings.consumer_group.lower() == "$default":
        mend = "make a consumer group for this collector: others read $Default without asking"
        yield Finding("warn", "it reads the consumer group $Default", mend)
    whom = "connection strings" if len(secrets) == len(files) else "the identity of the machine"
    yield Finding("ok", f"{settings.event_hub} at {host}, as {whom}", secret_files=secrets)
