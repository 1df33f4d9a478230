"""Checkpoints and ownership of partitions in Blob Storage, and the claim of a consumer group by one collector.

The blobs are those of the SDK (`<host>/<hub>/<group>/checkpoint/<n>`, `…/ownership/<n>`), so other tools can read them.
Beside them lies `…/collector` with the name of the collector: two collectors with one group and one container would
each get half of the events, and neither would notice.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob.aio import ContainerClient

from ingest.schema.errors import SourceRefused

_MADE_AT = "madeat"  # metadata of the claim; Azure takes letters and digits


class Checkpoints(BlobCheckpointStore):
    """The SDK's store; remembers what it said, which the SDK keeps to itself.

    Attributes:
        sequences: Number of the last acknowledged event by partition, as last listed.
        owner: Id under which this process owns partitions.
    """

    def __init__(self, container: ContainerClient) -> None:
        super().__init__("", "", container_client=container)
        self.sequences: dict[str, int] = {}
        self.owner = ""

    async def list_checkpoints(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **options: Any
    ) -> Iterable[dict[str, Any]]:
        """See `CheckpointStore.list_checkpoints`."""
        found = list(
            await super().list_checkpoints(fully_qualified_namespace, eventhub_name, consumer_group, **options)
        )
        self.sequences = {each["partition_id"]: int(each["sequence_number"]) for each in found}
        return found

    async def claim_ownership(
        self, ownership_list: Iterable[dict[str, Any]], **options: Any
    ) -> Iterable[dict[str, Any]]:
        """See `CheckpointStore.claim_ownership`."""
        wanted = list(ownership_list)
        self.owner = next((each["owner_id"] for each in wanted if each["owner_id"]), self.owner)
        claimed: Iterable[dict[str, Any]] = await super().claim_ownership(wanted, **options)
        return claimed

    async def is_ours(self, place: tuple[str, str, str], partition: str) -> bool:
        """Whether the store says that this process owns a partition.

        Args:
            place: Host, hub and consumer group.
            partition: Id of the partition.

        Raises:
            AzureError: The store can't be asked.
        """
        owned = await self.list_ownership(*place)
        return any(each["partition_id"] == partition and each["owner_id"] == self.owner for each in owned)


class Claim(enum.Enum):
    """How the claim of a consumer group was found."""

    FIRST = enum.auto()
    OURS = enum.auto()
    OTHER_HUB = enum.auto()
    """Ours, and of a hub that was there before this one."""


async def claim_group(container: ContainerClient, place: tuple[str, str, str], collector: str, made_at: str) -> Claim:
    """Claim a consumer group for a collector, for good.

    Args:
        made_at: When the hub was made, as it says.

    Raises:
        SourceRefused: Another collector has it.
        AzureError: The container can't be asked.
    """
    _, hub, group = place
    blob = container.get_blob_client(_claim_of(place))
    try:
        await blob.upload_blob(collector.encode(), overwrite=False, metadata={_MADE_AT: made_at})
    except ResourceExistsError:
        stream = await blob.download_blob()
        other = (await stream.readall()).decode("utf-8", "replace")
        if other != collector:
            raise SourceRefused(
                f"claiming consumer group: the collector {other!r} reads it with this container, and each would get "
                "only a part of the events",
                where=f"{hub}/{group}",
                mend=f"give {collector!r} a consumer group of its own; if it is {other!r} renamed, delete the blob "
                f"{blob.blob_name}",
            ) from None
        known = (stream.properties.metadata or {}).get(_MADE_AT)
        if known is None:  # claimed before this was noted
            await blob.set_blob_metadata({_MADE_AT: made_at})
        return Claim.OURS if known in (None, made_at) else Claim.OTHER_HUB
    return Claim.FIRST


async def forget_progress(container: ContainerClient, place: tuple[str, str, str], made_at: str) -> None:
    """Delete the checkpoints of a group: its hub was made anew.

    Raises:
        AzureError: The container can't be asked.
    """
    prefix = "/".join([*place, "checkpoint", ""]).lower()
    async for blob in container.list_blobs(name_starts_with=prefix):
        await container.delete_blob(blob.name)
    await container.get_blob_client(_claim_of(place)).set_blob_metadata({_MADE_AT: made_at})


def _claim_of(place: tuple[str, str, str]) -> str:
    return "/".join([*place, "collector"]).lower()
