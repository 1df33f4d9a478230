"""An open data key."""

from __future__ import annotations

from dataclasses import dataclass

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key, open. Its content must never be shown."""

    id: str
    body: bytes

    def __repr__(self) -> str:
        """Without its content."""
        return f"DataKey({self.id!r})"
