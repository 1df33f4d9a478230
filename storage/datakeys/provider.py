"""What a key provider promises: it wraps data keys with a key that never leaves it (or its file).

One file per provider in `providers/`, each with a function `open_provider`; all pass the contract suite in
tests/storage/datakeys/test_provider_contract.py. `registry.py` finds them.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from ingest.schema.errors import ConfigError
from storage.datakeys.registry import all_providers
from storage.datakeys.settings import EncryptionSettings


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key as it is stored.

    Attributes:
        kek: Name of the key that wrapped it.
        body: What the provider unwraps.
    """

    kek: str
    body: bytes


class KeyProvider(Protocol):
    """Wraps and unwraps data keys of 32 bytes.

    Every method raises `StoreUnavailable` when the other side does not answer (the same call is made again), and
    `ConfigError` when it refuses, or when the wrapping key is not there.
    """

    @property
    def name(self) -> str:
        """Its name in the settings and in the key table."""

    def current(self) -> str:
        """Name of the key that wraps now; the same text as `Wrapped.kek` has it."""

    def wrap(self, key: bytes, context: Mapping[str, str]) -> Wrapped:
        """Wrap a data key with the current key, bound to a context."""

    def unwrap(self, wrapped: Wrapped, context: Mapping[str, str]) -> bytes:
        """The data key; only under the context that it was wrapped with."""

    def ready(self) -> None:
        """Raise what `wrap` would raise now, as far as that can be told without wrapping; changes nothing."""

    def renew(self) -> str | None:
        """Make a new key that wraps from now on; its name, or None where keys are made elsewhere."""


def bound(context: Mapping[str, str]) -> bytes:
    """A context as the bytes that a wrapping is bound to: JSON with sorted names and no blanks."""
    return json.dumps(dict(context), sort_keys=True, separators=(",", ":")).encode()


def open_provider(name: str, settings: EncryptionSettings, state_dir: Path) -> KeyProvider:
    """The provider of this name.

    Raises:
        ConfigError: There is none, or its settings are incomplete.
    """
    if name not in all_providers():
        raise ConfigError(
            f"opening the key provider {name!r}: there is none of this name",
            where="the key table",
            mend=f"there are {', '.join(all_providers())}; was the table written by a later version, or changed?",
        )
    module = importlib.import_module(f"storage.datakeys.providers.{name}")
    return cast("KeyProvider", module.open_provider(settings, state_dir))
