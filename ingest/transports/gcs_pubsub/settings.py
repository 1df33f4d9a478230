"""Settings of the transport for objects of Cloud Storage that Pub/Sub announces."""

from __future__ import annotations

from pydantic import Field

from ingest.transports.google_cloud.settings import StorageSettings, SubscriptionSettings


class GcsPubSubSettings(SubscriptionSettings, StorageSettings, extra="forbid", frozen=True):
    """New objects of Cloud Storage, as the notifications of a bucket announce them in a subscription."""

    prefix: str = Field(default="", description="Only objects whose names begin with it; others are acknowledged.")
    retry_after_s: float = Field(
        default=60.0, ge=0, description="Seconds until the message of an object that can't be read is handed back."
    )


SETTINGS = GcsPubSubSettings
