"""Settings of the Kafka topic as a source."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field


class KafkaSourceSettings(BaseModel, extra="forbid", frozen=True):
    """Topics of a Kafka, not the one Skytrail writes to; Oracle's Streaming and Event Hubs speak its protocol."""

    bootstrap_servers: str = Field(min_length=1, description="Comma-separated host:port of the brokers to read from.")
    topics: tuple[str, ...] = Field(min_length=1, description="Topics to read.")
    group_id: str = Field(
        default="", description="Consumer group, whose offsets are the progress. Default: skytrail-<collector>."
    )
    start_at: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where to begin in a partition of which the group has no offset."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="SASL_SSL", description="Protocol to the brokers; unencrypted ones are refused beyond loopback."
    )
    allow_plaintext: bool = Field(default=False, description="Allow unencrypted traffic beyond loopback.")
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="", description="SASL mechanism; empty with SASL: SCRAM-SHA-512. Oracle's Streaming takes PLAIN."
    )
    username: str = Field(default="", description="SASL user.")
    password_file: Path | None = Field(
        default=None, description="File with the SASL password; read again when it changes."
    )
    ca_file: Path | None = Field(
        default=None, description="PEM authority of the brokers. Default: those of the system."
    )
    certificate_file: Path | None = Field(default=None, description="PEM certificate that we show to the brokers.")
    key_file: Path | None = Field(default=None, description="PEM private key of that certificate.")
    batch_messages: int = Field(
        default=500, ge=1, le=10_000, description="Messages of a partition that may travel as one body."
    )
    batch_bytes: int = Field(
        default=1024 * 1024, gt=0, description="Bytes that messages of one body may have together."
    )
    fetch_max_bytes: int = Field(
        default=4 * 1024 * 1024, gt=0, description="Bytes fetched of a partition ahead of need; a larger message comes."
    )
    commit_interval_s: float = Field(
        default=1.0, gt=0, description="Seconds between commits: what a crash repeats, as duplicates."
    )
    session_timeout_s: float = Field(
        default=30.0, ge=6, description="Seconds without a sign of life until the group gives our partitions away."
    )
    probe_interval_s: float = Field(
        default=30.0, gt=0, description="Seconds without a message until the brokers are asked whether they are there."
    )


SETTINGS = KafkaSourceSettings
