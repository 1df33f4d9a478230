"""What every Google source can be told: with whose credentials, and where the service is."""

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
