"""Settings of a container of Blob Storage in which what is written once lies."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

from pydantic import BaseModel, Field


class AzureArchiveSettings(BaseModel, extra="forbid", frozen=True):
    """A container of Azure Blob Storage of what is written once."""

    account: str = Field(
        pattern=r"^[a-z0-9]{3,24}(\.[a-z0-9.-]{1,200})?$",
        description="Name of the storage account; beyond the public cloud with its domain, as in its address.",
    )
    container: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", description="Name of the container.")
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._/-]{0,100}$", description="Names of blobs start with this.")
    connection_string_file: Path | None = Field(
        default=None,
        description="File with a connection string of the account. Unset: the identity of the machine.",
    )
    lock: Literal["locked", "unlocked", "none"] = Field(
        default="locked",
        description="Immutability policy of what is sealed; `none` only where the container has no version-level "
        "immutability.",
    )
    lock_days: int = Field(
        default=400, ge=1, description="Days for which a blob is locked at least; longer where its stamp says so."
    )
    request_timeout_s: float = Field(default=30.0, gt=0, description="Seconds to connect, and between bytes.")

    @property
    def account_url(self) -> str:
        """Address of the account."""
        return f"https://{self.account if '.' in self.account else f'{self.account}.blob.core.windows.net'}"

    @property
    def address(self) -> str:
        """As commands take it."""
        return f"azure://{self.account}/{self.container}/{self.prefix.strip('/')}".rstrip("/")

    @property
    def opening_address(self) -> str:
        """The same, with what opens it."""
        file = self.connection_string_file
        return f"{self.address}?{urlencode({'connection_string_file': str(file)})}" if file else self.address
