"""Settings of the endpoint for the audit webhook of a Kubernetes API server."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ingest.transports.endpoint.settings import EndpointSettings


class KubernetesWebhookSettings(EndpointSettings, extra="forbid", frozen=True):
    """The HTTPS endpoint for the API server's audit webhook; under pressure it answers 429."""

    token_file: Path | None = Field(
        default=None, description="File with accepted bearer tokens, a line each: `<source-id> <token>` or `<token>`."
    )
    spool_after_s: float = Field(
        default=5.0,
        gt=0,
        lt=25,
        description="Seconds to wait for the brokers before a body is spooled; the API server gives up after 30.",
    )
    spool_dir: Path | None = Field(
        default=None,
        description="Directory of the fsynced spool for times without brokers. Default: <state>/spool/<name>.",
    )
    spool_max_bytes: int = Field(
        default=2 * 1024**3, gt=0, description="Bytes the spool may take; full, the answer is 429."
    )


SETTINGS = KubernetesWebhookSettings
