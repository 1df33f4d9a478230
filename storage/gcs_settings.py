"""Settings of a bucket of Google Cloud Storage in which what is written once lies."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

from pydantic import BaseModel, Field


class GcsArchiveSettings(BaseModel, extra="forbid", frozen=True):
    """A bucket of Google Cloud Storage of what is written once."""

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", description="Name of the bucket.")
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._/-]{0,100}$", description="Names start with this.")
    credentials_file: Path | None = Field(
        default=None, description="File with credentials. Unset: those that Google's tools find on the machine."
    )
    lock: Literal["locked", "unlocked", "none"] = Field(
        default="locked",
        description="Retention of what is sealed; `none` only where the bucket was made without object retention.",
    )
    lock_days: int = Field(
        default=400, ge=1, description="Days for which an object is locked at least; longer where its stamp says so."
    )
    request_timeout_s: float = Field(default=30.0, gt=0, description="Seconds to connect, and between bytes.")

    @property
    def address(self) -> str:
        """As commands take it."""
        return f"gs://{self.bucket}/{self.prefix.strip('/')}".rstrip("/")

    @property
    def opening_address(self) -> str:
        """The same, with what opens it."""
        file = self.credentials_file
        return f"{self.address}?{urlencode({'credentials_file': str(file)})}" if file else self.address
