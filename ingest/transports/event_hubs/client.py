"""Opens what a collector of Event Hubs needs: the hub, the container, the identity of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import ContainerClient

from ingest.schema.errors import ConfigError
from ingest.transports.azure.containers import container_url, open_container
from ingest.transports.azure.credentials import SharedAccess, connection_string, machine_identity, parts_of
from ingest.transports.contract import Place
from ingest.transports.event_hubs.attaching import TellingClient
from ingest.transports.event_hubs.checkpoints import Checkpoints
from ingest.transports.event_hubs.settings import EventHubsSettings

_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Hub:
    """What is open.

    Attributes:
        client: Reads the hub.
        checkpoints: Progress and ownership, in `container`.
        place: Host, hub and consumer group.
        container_url: Where the checkpoints are, for messages.
    """

    client: TellingClient
    checkpoints: Checkpoints
    container: ContainerClient
    identity: DefaultAzureCredential | None
    place: tuple[str, str, str]
    container_url: str

    @property
    def name(self) -> str:
        """The hub, for origins and messages."""
        return f"{self.place[0]}/{self.place[1]}"

    async def close(self) -> None:
        """Close everything; harmless when repeated."""
        await self.client.close()
        await self.container.close()
        if self.identity is not None:
            await self.identity.close()


def open_hub(settings: EventHubsSettings, place: Place) -> Hub:
    """The clients of the settings; nothing is asked of Azure yet.

    Raises:
        ConfigError: An address or a connection string is wrong.
    """
    host, _ = host_of(settings)
    account, container_name = container_url(settings.checkpoint_container_url)
    files = (settings.connection_string_file, settings.checkpoint_connection_string_file)
    identity = machine_identity() if None in files else None
    container = open_container(account, container_name, settings.checkpoint_connection_string_file, identity)
    checkpoints = Checkpoints(container)
    return Hub(
        reader_of(settings, place, identity, checkpoints),
        checkpoints,
        container,
        identity,
        (host, settings.event_hub, settings.consumer_group),
        f"{account}/{container_name}",
    )


def reader_of(
    settings: EventHubsSettings, place: Place, identity: DefaultAzureCredential | None, store: Checkpoints | None = None
) -> TellingClient:
    """A client of the consumer group; nothing is asked of Azure yet.

    Args:
        settings: Which hub.
        place: Has the clock that tokens are made by.
        identity: Of the machine, where there is no connection string.
        store: Progress and ownership; None: it claims nothing, and disturbs nobody who does.

    Raises:
        ConfigError: The connection string is wrong.
    """
    host, plain = host_of(settings)
    credential: Any = identity
    if settings.connection_string_file is not None:
        credential = SharedAccess(settings.connection_string_file, lambda: place.clock().timestamp())
    return TellingClient(
        host,
        settings.event_hub,
        settings.consumer_group,
        credential,
        checkpoint_store=store,
        load_balancing_interval=settings.load_balancing_interval_s,
        partition_ownership_expiration_interval=settings.ownership_expiry_s,
        use_tls=not plain,
    )


def host_of(settings: EventHubsSettings) -> tuple[str, bool]:
    """The host of the namespace, and whether it is spoken to without TLS (an emulator on this machine).

    Raises:
        ConfigError: The connection string is of another namespace or hub, or wants no TLS beyond loopback.
    """
    if settings.connection_string_file is None:
        return settings.fully_qualified_namespace, False
    where = str(settings.connection_string_file)
    parts = parts_of(connection_string(settings.connection_string_file))
    endpoint = urlsplit(parts.get("endpoint", ""))
    if endpoint.scheme != "sb" or not endpoint.hostname:
        mend = "copy it again: it begins with Endpoint=sb://"
        raise ConfigError("reading connection string: it names no namespace of Event Hubs", where=where, mend=mend)
    if parts.get("entitypath", settings.event_hub) != settings.event_hub:
        mend = "take the string of the hub that event_hub names"
        raise ConfigError("reading connection string: it is of another hub", where=where, mend=mend)
    wanted = settings.fully_qualified_namespace
    if wanted and wanted.lower() != endpoint.hostname:
        mend = "take the string of the namespace that fully_qualified_namespace names"
        raise ConfigError("reading connection string: it is of another namespace", where=where, mend=mend)
    plain = parts.get("usedevelopmentemulator", "").lower() == "true"
    if plain and endpoint.hostname not in _LOOPBACK:
        mend = "leave UseDevelopmentEmulator out: it switches TLS off"
        raise ConfigError("reading connection string: no TLS beyond loopback", where=where, mend=mend)
    return (endpoint.netloc if plain else endpoint.hostname), plain
