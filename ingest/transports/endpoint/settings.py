"""What every endpoint that others send to can be told: where it listens, as whom, and how much it holds."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class ListenerSettings(BaseModel, extra="forbid", frozen=True):
    """Where something listens, and as whom."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=9443, ge=0, le=65535, description="Port; 0 picks a free one.")
    certificate_file: Path | None = Field(default=None, description="PEM certificate chain of this endpoint.")
    key_file: Path | None = Field(default=None, description="PEM private key of this endpoint.")
    client_ca_file: Path | None = Field(
        default=None, description="PEM authority of client certificates; set: mutual TLS is required."
    )


class EndpointSettings(ListenerSettings, extra="forbid", frozen=True):
    """An HTTPS endpoint."""

    allow_plain_http: bool = Field(default=False, description="Serve without TLS; loopback only.")
    max_body_bytes: int = Field(default=64 * 1024 * 1024, gt=0, description="Largest request body, bytes.")
    max_in_flight: int = Field(default=16, ge=1, description="Requests worked on at once; beyond them senders wait.")
    max_in_flight_bytes: int = Field(
        default=256 * 1024 * 1024,
        gt=0,
        description="Bytes of request bodies held at once; beyond them senders wait.",
    )
    body_timeout_s: float = Field(default=15.0, gt=0, description="Seconds a request may take to send its body.")
    retry_after_s: int = Field(default=2, ge=1, description="Seconds named in Retry-After of a 429.")
