"""Settings of the receiver of syslog."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from ingest.transports.endpoint.settings import ListenerSettings


class SyslogSettings(ListenerSettings, extra="forbid", frozen=True):
    """A receiver of syslog over TLS (RFC 5424, RFC 5425)."""

    port: int = Field(default=6514, ge=0, le=65535, description="Port; 0 picks a free one.")
    client_ca_file: Path | None = Field(default=None, description="PEM authority of the senders' certificates.")
    client_certificates: Literal["required", "optional", "none"] = Field(
        default="required",
        description="Whether senders show a certificate. Without one anybody who reaches the port can write logs.",
    )
    allow_plain_tcp: bool = Field(default=False, description="Listen without TLS; loopback only.")
    framing: Literal["octet_counting", "line_feed"] = Field(
        default="octet_counting",
        description="How messages are told apart: by their length (RFC 5425), or by a line feed (RFC 6587 §3.4.2), "
        "which no message may then contain.",
    )
    max_message_bytes: int = Field(
        default=1024 * 1024, ge=2048, le=64 * 1024 * 1024, description="A longer message is left out, and told."
    )
    max_connections: int = Field(
        default=200, ge=1, description="Connections at once; more are ended at once, and told."
    )
    batch_messages: int = Field(default=500, ge=1, le=10_000, description="Messages that may travel as one body.")
    batch_bytes: int = Field(
        default=1024 * 1024, gt=0, description="Bytes that messages of one body may have together."
    )
    spool_dir: Path | None = Field(
        default=None,
        description="Directory of the fsynced spool that every message passes. Default: <state>/spool/<name>.",
    )
    spool_max_bytes: int = Field(
        default=2 * 1024**3, gt=0, description="Bytes the spool may take; full, nothing is read from senders."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.spool_max_bytes < 2 * max(self.batch_bytes, self.max_message_bytes):
            raise ValueError("spool_max_bytes must be twice batch_bytes and max_message_bytes, or one body never fits")
        return self


SETTINGS = SyslogSettings
