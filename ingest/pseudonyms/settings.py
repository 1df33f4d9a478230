"""Settings of pseudonyms; composed into `skytrail.settings.Settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from ingest.pseudonyms.tokens import KINDS, Kind

_Pattern = Annotated[str, Field(pattern=r"^[a-z0-9*][a-z0-9_.*]{0,99}$")]


class PseudonymSettings(BaseModel, extra="forbid", frozen=True):
    """Keyed tokens in the place of people's names and addresses, in what is indexed and told. Off by default."""

    namespaces: tuple[_Pattern, ...] = Field(
        default=(),
        description="Namespaces whose documents and alerts have tokens; patterns with *. Empty: none. "
        "Make the key first: `skytrail pseudonyms key`.",
    )
    kinds: tuple[Kind, ...] = Field(
        default=KINDS, description="What becomes a token: user (names, ids), email, address (IP addresses)."
    )
    key_file: Path | None = Field(
        default=None,
        description="The keys; mode 0600, outside of the archive. Default: <state_dir>/pseudonyms/keys.json. "
        "Every index and detect worker needs the same file.",
    )

    @model_validator(mode="after")
    def _names_a_kind(self) -> Self:
        if not self.kinds:
            raise ValueError("kinds is empty: name user, email or address, or leave namespaces empty")
        return self
