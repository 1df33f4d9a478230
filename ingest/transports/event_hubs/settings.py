"""Settings of a collector of Azure Event Hubs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator


class EventHubsSettings(BaseModel, extra="forbid", frozen=True):
    """An event hub, read by one consumer group, with its checkpoints in a container of Blob Storage."""

    fully_qualified_namespace: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]*)?$",
        description="Host of the namespace: <name>.servicebus.windows.net. Empty: as the connection string says.",
    )
    event_hub: str = Field(min_length=1, description="Name of the event hub.")
    consumer_group: str = Field(
        min_length=1,
        description="Consumer group of its own for this collector; several processes of it share it.",
    )
    checkpoint_container_url: str = Field(
        min_length=1,
        description="Container for checkpoints: https://<account>.blob.core.windows.net/<container>. It must exist.",
    )
    connection_string_file: Path | None = Field(
        default=None,
        description="File with a connection string that may Listen; read again for each token. "
        "Unset: the identity of the machine.",
    )
    checkpoint_connection_string_file: Path | None = Field(
        default=None,
        description="File with a connection string of the storage account. Unset: the identity of the machine.",
    )
    start: Literal["earliest", "latest"] = Field(
        default="earliest",
        description="Where the first start begins; latest leaves out what was there before it, and nothing later.",
    )
    prefetch: int = Field(
        default=100, ge=1, le=2000, description="Events fetched ahead for each partition; an event has at most 1 MiB."
    )
    batch_events: int = Field(
        default=500, ge=1, le=10_000, description="Events of a partition that may travel as one body."
    )
    batch_bytes: int = Field(default=1024 * 1024, gt=0, description="Bytes that events of one body may have together.")
    max_in_flight: int = Field(default=4000, ge=1, description="Events taken over and not yet acknowledged, at most.")
    max_in_flight_bytes: int = Field(
        default=64 * 1024 * 1024, gt=0, description="Bytes of events taken over and not yet acknowledged, at most."
    )
    checkpoint_interval_s: float = Field(
        default=5.0, gt=0, description="Seconds between checkpoints of a partition: a crash repeats that much."
    )
    load_balancing_interval_s: float = Field(
        default=10.0, gt=0, description="Seconds between looks at who reads which partition."
    )
    ownership_expiry_s: float = Field(
        default=60.0, gt=0, description="Seconds after which the partitions of a process that died go to others."
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.fully_qualified_namespace and self.connection_string_file is None:
            raise ValueError("set fully_qualified_namespace or connection_string_file")
        if self.ownership_expiry_s < 2 * self.load_balancing_interval_s:
            raise ValueError("ownership_expiry_s must be at least twice load_balancing_interval_s")
        return self


SETTINGS = EventHubsSettings
