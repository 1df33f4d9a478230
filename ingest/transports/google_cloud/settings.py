"""What Google sources can be told: with whose credentials, from which subscription, where Cloud Storage is."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class GoogleSettings(BaseModel, extra="forbid", frozen=True):
    """A source in Google Cloud."""

    credentials_file: Path | None = Field(
        default=None,
        description="Credentials as JSON: a service account's key, or better the configuration of a workload identity. "
        "Default: what the machine offers (https://cloud.google.com/docs/authentication/application-default-credentials).",
    )


class SubscriptionSettings(GoogleSettings, extra="forbid", frozen=True):
    """A pull subscription of Pub/Sub."""

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


class StorageSettings(BaseModel, extra="forbid", frozen=True):
    """How objects of Cloud Storage are read."""

    storage_endpoint: str = Field(
        default="",
        description="Another address of Cloud Storage, https://…; http:// only on loopback, without credentials.",
    )
    fetch_ahead: int = Field(default=4, ge=1, le=64, description="Objects read at once, ahead of need.")
