"""Settings of reports: which are delivered where, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from skytrail.reports.schedule import Every
from storage.azure_settings import AzureArchiveSettings
from storage.gcs_settings import GcsArchiveSettings
from storage.settings import CloudArchive, S3ArchiveSettings

DeliveryName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]


class DeliverySettings(BaseModel, extra="forbid", frozen=True):
    """A report that is made for every period and put where nobody changes it."""

    kind: str = Field(description="Kind of the report, as `skytrail report kinds` lists them.")
    every: Every = Field(default="day", description="Length of a period: whole days, weeks or months (UTC).")
    namespace: str | None = Field(default=None, description="Only this namespace. Default: all.")
    whole: bool = Field(default=False, description="Look from the beginning to the end of the period, not at it alone.")
    directory: Path | None = Field(default=None, description="Directory that takes the reports.")
    s3: S3ArchiveSettings | None = Field(default=None, description="A bucket that takes them, instead.")
    azure: AzureArchiveSettings | None = Field(default=None, description="A container of Azure that takes them.")
    gcs: GcsArchiveSettings | None = Field(default=None, description="A bucket of Google Cloud that takes them.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if len([each for each in (self.directory, self.s3, self.azure, self.gcs) if each is not None]) != 1:
            raise ValueError("a delivery needs one of directory, s3, azure and gcs")
        return self

    @property
    def place(self) -> str:
        """Where reports go, in words."""
        return self.cloud.address if self.cloud else str(self.directory)

    @property
    def cloud(self) -> CloudArchive | None:
        """Where they go, if not to a directory."""
        return self.s3 or self.azure or self.gcs


class ReportSettings(BaseModel, extra="forbid", frozen=True):
    """Reports for auditors."""

    deliveries: dict[DeliveryName, DeliverySettings] = Field(
        default={},
        description="Reports by a name of your choice that `skytrail report deliver` makes when they are due.",
    )
