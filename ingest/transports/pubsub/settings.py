"""Settings of the Pub/Sub subscription as a source."""

from __future__ import annotations

from pydantic import Field

from ingest.transports.google_cloud.settings import SubscriptionSettings


class PubSubSettings(SubscriptionSettings, extra="forbid", frozen=True):
    """A pull subscription of Google Cloud Pub/Sub."""

    batch_messages: int = Field(default=500, ge=1, le=10_000, description="Messages that may travel as one body.")
    batch_bytes: int = Field(
        default=1024 * 1024, gt=0, description="Bytes that messages of one body may have together."
    )


SETTINGS = PubSubSettings
