"""Settings of the Pub/Sub subscription as a source."""

from __future__ import annotations

from pydantic import Field

from ingest.transports.google_cloud.settings import GoogleSettings


class PubSubSettings(GoogleSettings, extra="forbid", frozen=True):
    """A pull subscription of Google Cloud Pub/Sub."""

    project: str = Field(min_length=1, description="Id of the project that has the subscription.")
    subscription: str = Field(min_length=1, description="Name of the subscription.")
    endpoint: str = Field(
        default="", description="host:port of a regional endpoint. Default: the global one, pubsub.googleapis.com."
    )
    plaintext: bool = Field(
        default=False, description="Without TLS and credentials: for an emulator on loopback, named by endpoint."
    )
    max_outstanding_messages: int = Field(
        default=2000, ge=1, description="Messages held at once; beyond them the stream pauses."
    )
    max_outstanding_bytes: int = Field(
        default=64 * 1024 * 1024, gt=0, description="Bytes of messages held at once; beyond them the stream pauses."
    )
    max_lease_s: float = Field(
        default=24 * 3600, ge=600, description="Seconds that a message is held while our brokers are away."
    )
    batch_messages: int = Field(default=500, ge=1, le=10_000, description="Messages that may travel as one body.")
    batch_bytes: int = Field(
        default=1024 * 1024, gt=0, description="Bytes that messages of one body may have together."
    )
    warn_attempts: int = Field(
        default=5,
        ge=2,
        description="Deliveries of one message, counted by a dead-letter policy, from which it is told.",
    )
    acknowledge_timeout_s: float = Field(
        default=60.0, gt=0, description="Seconds to wait for the answer to an acknowledgement (exactly-once delivery)."
    )
    probe_interval_s: float = Field(
        default=60.0, gt=0, description="Seconds without a message until the service is asked whether it is there."
    )

    @property
    def path(self) -> str:
        """The subscription as Google names it."""
        return f"projects/{self.project}/subscriptions/{self.subscription}"


SETTINGS = PubSubSettings
