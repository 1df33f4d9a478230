"""Settings of the way in: Kafka, publishing, and the collectors.

Composed into `skytrail.settings.Settings`; nothing here reads files or the environment.
"""

from __future__ import annotations

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


class WebhookSettings(BaseModel, extra="forbid", frozen=True):
    """The HTTPS endpoint for the API server's audit webhook."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=9443, ge=0, le=65535, description="Port; 0 picks a free one.")
    certificate_file: Path | None = Field(default=None, description="PEM certificate chain of this endpoint.")
    key_file: Path | None = Field(default=None, description="PEM private key of this endpoint.")
    client_ca_file: Path | None = Field(
        default=None, description="PEM authority of client certificates; set: mutual TLS is required."
    )
    token_file: Path | None = Field(
        default=None, description="File with accepted bearer tokens, a line each: `<source-id> <token>` or `<token>`."
    )
    allow_plain_http: bool = Field(default=False, description="Serve without TLS; loopback only.")
    max_body_bytes: int = Field(default=64 * 1024 * 1024, gt=0, description="Largest request body, bytes.")
    max_in_flight: int = Field(
        default=16, ge=1, description="Requests worked on at once; beyond them the answer is 429."
    )
    max_in_flight_bytes: int = Field(
        default=256 * 1024 * 1024,
        gt=0,
        description="Bytes of request bodies held at once; beyond them the answer is 429.",
    )
    body_timeout_s: float = Field(
        default=15.0, gt=0, description="Seconds a request may take to send its body; the API server gives up after 30."
    )
    spool_after_s: float = Field(
        default=5.0,
        gt=0,
        lt=25,
        description="Seconds to wait for the brokers before a body is spooled; the API server gives up after 30.",
    )
    retry_after_s: int = Field(default=2, ge=1, description="Seconds named in Retry-After of a 429.")
    spool_dir: Path | None = Field(
        default=None,
        description="Directory of the fsynced spool for times without brokers. Default: <state>/spool/<name>.",
    )
    spool_max_bytes: int = Field(
        default=2 * 1024**3, gt=0, description="Bytes the spool may take; full, the answer is 429."
    )


class FilesSettings(BaseModel, extra="forbid", frozen=True):
    """Files, directory trees and globs."""

    paths: tuple[str, ...] = Field(default=(), description="Files, directories or globs; `-` is standard input.")
    follow: bool = Field(default=False, description="Watch for new files and new lines instead of ending.")
    checkpoint_file: Path | None = Field(
        default=None, description="Where progress is kept. Default: <state>/checkpoints/<name>.json."
    )
    poll_interval_s: float = Field(default=1.0, gt=0, description="Seconds between looks at the tree when following.")


class CollectorSettings(BaseModel, extra="forbid", frozen=True):
    """One collector: a transport and a format."""

    transport: str = Field(description="The way in: the name of a module of ingest/transports, e.g. files.")
    format: str = Field(description="Format of what arrives, e.g. aws.cloudtrail.")
    namespace: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_.]{0,99}$", description="Tenant or unit.")
    max_inflated_bytes: int = Field(
        default=256 * 1024 * 1024, gt=0, description="Largest inflated body, bytes: beyond it a gzip is a bomb."
    )
    files: FilesSettings = Field(default=FilesSettings(), description="Settings of the files transport.")
    webhook: WebhookSettings = Field(default=WebhookSettings(), description="Settings of the webhook transport.")
