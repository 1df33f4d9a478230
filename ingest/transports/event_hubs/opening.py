"""What is found when a hub is opened, and what that means for the progress that was kept.

A hub that was deleted and made anew has the same address and counts its events from 0 again: progress in the old one
would leave out what the new one holds. So the claim of the group remembers when the hub was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ingest.schema.errors import SkytrailError, SourceUnavailable
from ingest.transports.event_hubs.checkpoints import Claim, claim_group, forget_progress
from ingest.transports.event_hubs.client import Hub


class Opening:
    """Opens the hub for one collector; may be repeated until it succeeds.

    Args:
        collector: Its name.
        at_end: A first start leaves out what is there.
        warn: Hears that the hub is another one.
    """

    def __init__(self, hub: Hub, collector: str, *, at_end: bool, warn: Callable[[SkytrailError], None]) -> None:
        self._hub = hub
        self._collector = collector
        self._at_end = at_end
        self._warn = warn
        self._first = False

    async def open(self) -> None:
        """Ask the hub and the container whether they will have us, and note where reading begins.

        Raises:
            SourceRefused: Another collector has the group.
            AzureError: The hub or the container can't be asked, or refuse us.
        """
        told: dict[str, Any] = await self._hub.client.get_eventhub_properties()
        made_at = told["created_at"].isoformat()
        claim = await claim_group(self._hub.container, self._hub.place, self._collector, made_at)
        self._first |= claim is Claim.FIRST
        if claim is Claim.OTHER_HUB:
            self._warn(made_anew(self._hub.name))
            await forget_progress(self._hub.container, self._hub.place, made_at)
        if self._first and self._at_end:
            await self._begin_at_end(told["partition_ids"])
        self._first = False

    async def _begin_at_end(self, partitions: Iterable[str]) -> None:
        """Note the end of each partition, or one that stays quiet would begin at a later end after a restart."""
        host, hub, group = self._hub.place
        for partition in partitions:
            told: dict[str, Any] = await self._hub.client.get_partition_properties(partition)
            await self._hub.checkpoints.update_checkpoint(
                {
                    "fully_qualified_namespace": host,
                    "eventhub_name": hub,
                    "consumer_group": group,
                    "partition_id": partition,
                    "offset": told["last_enqueued_offset"],
                    "sequence_number": told["last_enqueued_sequence_number"],
                }
            )


def made_anew(where: str) -> SourceUnavailable:
    """The hub is not the one that was read."""
    return SourceUnavailable(
        "opening hub: it was made anew; it is read from its beginning",
        where=where,
        mend="find out who did it; what the old one held and was not read is lost at the source",
    )
