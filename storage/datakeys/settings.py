"""Settings of the encryption of what is sealed; each provider adds a table of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import BaseModel, Field, model_validator

from ingest.schema.errors import ConfigError
from storage.datakeys.registry import provider_tables, with_providers

Table = TypeVar("Table", bound=BaseModel)


class _EncryptionSettings(BaseModel, extra="forbid", frozen=True):
    """Encryption of what is sealed, with data keys that can be destroyed."""

    provider: str = Field(
        default="none",
        description="Who wraps the data keys: files of this machine, or a key management service; none: clear.",
    )
    table: Path | None = Field(
        default=None,
        description="Directory of the wrapped data keys, shared by all seal workers. Default: <state>/datakeys/table.",
    )
    kek_directory: Path | None = Field(
        default=None, description="Directory of the wrapping keys of `file`. Default: <state>/datakeys/keks."
    )
    subjects: bool = Field(
        default=False,
        description="Give each person a data key of their own per month: one can be erased alone (docs/retention.md).",
    )
    subject_table: Path | None = Field(
        default=None,
        description="Directory of these keys, shared by all seal workers. Default: <state>/datakeys/subjects.",
    )
    kms_key: str = Field(default="", description="ARN, id or alias of the wrapping key of `aws_kms`.")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.provider == "aws_kms" and not self.kms_key:
            raise ValueError("the provider aws_kms needs kms_key")
        if self.subjects and self.provider == "none":
            raise ValueError("subjects needs a provider: without encryption there are no keys to destroy")
        if self.provider in provider_tables() and getattr(self, self.provider) is None:
            raise ValueError(f"the provider {self.provider} needs the table archive.encryption.{self.provider}")
        return self

    @property
    def tables(self) -> Mapping[str, BaseModel]:
        """The tables of providers that are set, by name."""
        found = {name: getattr(self, name) for name in provider_tables()}
        return {name: table for name, table in found.items() if table is not None}

    @property
    def secret_files(self) -> Mapping[str, Path]:
        """Files that give the right to unwrap, by provider: nobody else should be able to read them."""
        files = {name: getattr(table, "credentials_file", None) for name, table in self.tables.items()}
        return {name: file for name, file in files.items() if file is not None}

    def own(self, name: str, kind: type[Table]) -> Table:
        """The table of a provider.

        Raises:
            ConfigError: It is not set; data keys that it wrapped can't be opened then.
        """
        found = getattr(self, name)
        if not isinstance(found, kind):
            raise ConfigError(
                f"opening the key provider {name}: it has no settings, and data keys are wrapped by it",
                where=f"archive.encryption.{name}",
                mend="set this table as it was then; `skytrail keys data list` names the keys that wrap",
            )
        return found


if TYPE_CHECKING:
    EncryptionSettings = _EncryptionSettings
else:
    EncryptionSettings = with_providers(_EncryptionSettings)
