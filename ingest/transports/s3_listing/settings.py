"""Settings of the transport for objects of S3 that are there already."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import AwareDatetime, Field

from ingest.transports.aws.settings import AwsSettings

Moment = AwareDatetime | dt.date | None


class S3ListingSettings(AwsSettings, extra="forbid", frozen=True):
    """Objects of S3, found by listing a bucket once: what was there before a queue announced new ones."""

    bucket: str = Field(min_length=3, description="Name of the bucket.")
    prefix: str = Field(default="", description="Only objects whose keys begin so, e.g. AWSLogs/123456789012/.")
    since: Moment = Field(default=None, description="Only objects of this time or later; a date is its first moment.")
    until: Moment = Field(default=None, description="Only objects before this time; a date is its first moment, UTC.")
    time_of: Literal["object", "key"] = Field(
        default="object",
        description="What time an object has: `object` when it was written; `key` the day in its key (…/2026/11/22/…), "
        "where it has one: for buckets whose objects were copied.",
    )
    fetch_ahead: int = Field(default=4, ge=1, le=64, description="Objects fetched at once, ahead of their turn.")


SETTINGS = S3ListingSettings
