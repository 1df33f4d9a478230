"""Settings of the way in: Kafka, publishing, and the collectors.

Composed into `skytrail.settings.Settings`; nothing here reads files or the environment.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class KafkaSettings(BaseModel, extra="forbid", frozen=True):
    """How to reach Kafka. Left empty, the engines of `skytrail up` are used."""

    bootstrap_servers: str = Field(
        default="", description="Comma-separated host:port. Empty: the local engines (`skytrail up`)."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="SASL_SSL",
        description="Protocol to the brokers. PLAINTEXT and SASL_PLAINTEXT are refused for other hosts than loopback "
        "unless kafka.allow_plaintext is true.",
    )
    allow_plaintext: bool = Field(
        default=False,
        description="Allow unencrypted traffic to brokers beyond loopback, e.g. inside one Compose network.",
    )
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="", description="SASL mechanism; empty without SASL."
    )
    username: str = Field(default="", description="SASL user.")
    password: SecretStr = Field(default=SecretStr(""), description="SASL password; give it by file or environment.")
    ca_file: Path | None = Field(default=None, description="PEM file of the authority that signed the brokers.")
    publish_deadline_s: float = Field(
        default=30.0, gt=0, description="Seconds until an unacknowledged publish counts as failed."
    )
    linger_ms: int = Field(default=20, ge=0, description="Milliseconds the producer waits to fill a batch.")
    partitions: int = Field(
        default=4, ge=1, le=512, description="Partitions of each topic that `skytrail topics` creates."
    )
    replication_factor: int = Field(default=1, ge=1, description="Copies of each partition; 3 in production.")
    min_insync_replicas: int = Field(default=1, ge=1, description="Copies that must acknowledge; 2 in production.")
    max_message_bytes: int = Field(
        default=9 * 1024 * 1024, ge=2 * 1024 * 1024, description="Largest message a topic accepts, bytes."
    )
    raw_retention_h: int = Field(
        default=7 * 24, ge=1, description="Hours that raw topics keep messages: the longest outage a role may have."
    )


class AuditSettings(BaseModel, extra="forbid", frozen=True):
    """What Skytrail records of itself: searches, changes, deletions, and who did them. It can't be switched off."""

    namespace: str = Field(
        default="default", pattern=r"^[a-z0-9][a-z0-9_.]{0,99}$", description="Namespace of these records."
    )


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def collector_name(name: str) -> str:
    """The name, if a collector may have it: files are named after it, and what follows a slash is a sender of it.

    Raises:
        ValueError: It may not.
    """
    if not _NAME.fullmatch(name) or name.endswith(".closed"):
        raise ValueError(
            f"{name[:100]!r} is no name for a collector: letters, digits, dots, hyphens and underscores, at most 100, "
            "a letter or digit first, and not .closed last"
        )
    return name


class CollectorSettings(BaseModel, extra="forbid", frozen=True):
    """One collector: a transport and a format.

    What a transport needs stands beside it, in `ingest/transports/<name>/settings.py`, and in the table of that name:
    `ingest.transports.registry` makes a type of this one and that one for each transport.
    """

    transport: str = Field(description="The way in: the name of a folder of ingest/transports, e.g. files.")
    format: str = Field(
        description="Format of what arrives, e.g. aws.cloudtrail; auto: each record's own, by its content."
    )
    namespace: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_.]{0,99}$", description="Tenant or unit.")
    max_inflated_bytes: int = Field(
        default=256 * 1024 * 1024, gt=0, description="Largest inflated body, bytes: beyond it a gzip is a bomb."
    )

    @property
    def own(self) -> BaseModel:
        """The settings of the transport itself."""
        own: BaseModel = getattr(self, self.transport)
        return own
