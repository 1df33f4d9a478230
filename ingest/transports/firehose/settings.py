"""Settings of the endpoint for Amazon Data Firehose."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ingest.transports.endpoint.settings import EndpointSettings


class FirehoseSettings(EndpointSettings, extra="forbid", frozen=True):
    """The HTTPS endpoint that Amazon Data Firehose delivers to; it repeats what is not answered 200."""

    access_key_file: Path = Field(
        description="File with accepted access keys, a line each: `<source-id> <key>` or `<key>`."
    )
    max_body_bytes: int = Field(
        default=96 * 1024 * 1024,
        gt=0,
        description="Largest request body, bytes. Firehose buffers up to 64 MiB, and base64 adds a third.",
    )
    max_inflated_request_bytes: int = Field(
        default=96 * 1024 * 1024, gt=0, description="Largest request once inflated, bytes."
    )
    body_timeout_s: float = Field(default=60.0, gt=0, description="Seconds a request may take to send its body.")
    answer_within_s: float = Field(
        default=120.0,
        gt=0,
        lt=180,
        description="Seconds to wait for the brokers before the answer is 503; Firehose gives up after 180.",
    )
    batch_messages: int = Field(
        default=500, ge=1, le=10_000, description="Records of a request that may travel as one body."
    )
    batch_bytes: int = Field(default=1024 * 1024, gt=0, description="Bytes that records of one body may have together.")
    remembered_requests: int = Field(
        default=10_000, ge=0, description="Requests whose repeats are answered without being published again."
    )


SETTINGS = FirehoseSettings
