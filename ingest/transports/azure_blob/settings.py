"""Settings of a collector of blobs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, Field


class AzureBlobSettings(BaseModel, extra="forbid", frozen=True):
    """The blobs of a container, listed again and again: what diagnostic settings write to a storage account."""

    container_url: str = Field(
        min_length=1,
        description="The container, e.g. https://<account>.blob.core.windows.net/insights-activity-logs.",
    )
    prefix: str = Field(default="", description="Only blobs whose names begin so.")
    since: AwareDatetime | dt.date | None = Field(
        default=None, description="Leave out blobs that were last written before, unless they were begun already."
    )
    connection_string_file: Path | None = Field(
        default=None,
        description="File with a connection string of the storage account. Unset: the identity of the machine.",
    )
    checkpoint_file: Path | None = Field(
        default=None, description="Where progress is kept. Default: <state>/checkpoints/<name>.blobs.sqlite."
    )
    poll_interval_s: float = Field(
        default=30.0, gt=0, description="Seconds between the end of a look and the next one."
    )
    read_ahead: int = Field(default=4, ge=1, le=64, description="Blobs read at the same time.")


SETTINGS = AzureBlobSettings
