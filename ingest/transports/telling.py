"""When a trouble that goes on is told again."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.schema.errors import SkytrailError

_AGAIN_S = 60.0
_REMEMBERED = 1000  # texts of errors vary; what is forgotten is told once more


@dataclass(slots=True)
class Told:
    """Tells a trouble when it begins and once a minute while it lasts, not at each attempt."""

    _at: dict[tuple[str, str], float] = field(default_factory=dict)

    def is_news(self, error: SkytrailError, now: float) -> bool:
        """Whether to tell it now."""
        key = (error.where, error.what)
        if now - self._at.get(key, -_AGAIN_S) < _AGAIN_S:
            return False
        if len(self._at) > _REMEMBERED:
            self._at.clear()
        self._at[key] = now
        return True
