"""Settings of the transport for objects of Cloud Storage that are found by listing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pydantic import AwareDatetime, Field

from ingest.transports.google_cloud.settings import GoogleSettings, StorageSettings


class GcsListingSettings(GoogleSettings, StorageSettings, extra="forbid", frozen=True):
    """The objects of a bucket, listed again and again: what a log sink writes there, or an archive of old logs."""

    bucket: str = Field(min_length=1, description="The bucket.")
    prefix: str = Field(default="", description="Only objects whose names begin so.")
    since: AwareDatetime | dt.date | None = Field(
        default=None, description="Leave out objects that were made before, unless they were begun already."
    )
    until: AwareDatetime | dt.date | None = Field(
        default=None, description="Leave out objects made at this time or later."
    )
    once: bool = Field(default=False, description="End after one look at the bucket: for what lies there already.")
    checkpoint_file: Path | None = Field(
        default=None, description="Where progress is kept. Default: <state>/checkpoints/<name>.objects.sqlite."
    )
    poll_interval_s: float = Field(
        default=60.0, gt=0, description="Seconds between the end of a look and the next one."
    )


SETTINGS = GcsListingSettings
