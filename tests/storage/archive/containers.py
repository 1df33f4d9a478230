"""Containers of Azurite as archives."""

from __future__ import annotations

import uuid
from typing import Any, Literal

from azure.storage.blob import ContainerClient

from storage.archive.stores.azure_blob import AzureBlobStore
from storage.azure_settings import AzureArchiveSettings
from tests.azurite import ACCOUNT, Azurite

Lock = Literal["none", "unlocked", "locked"]


def container(azurite: Azurite) -> ContainerClient:
    """A new container; its client does not try again: tests count its calls."""
    name = f"archive-{uuid.uuid4().hex}"
    client = ContainerClient.from_connection_string(azurite.connection_string, name, retry_total=0)
    client.create_container()
    return client


def container_store(
    client: ContainerClient, lock: Lock = "none", *, made: Any = None, **options: Any
) -> AzureBlobStore:
    """A store in this container.

    Args:
        made: What it uses as client instead.
    """
    settings = AzureArchiveSettings(
        account=ACCOUNT, container=client.container_name, prefix="archive/of-all", lock=lock, lock_days=30
    )
    return AzureBlobStore(settings, client=made or client, **{"allow_delete": True, **options})
