"""Levels of rules on the command line."""

from __future__ import annotations

from enum import StrEnum

from detectors.rule import SEVERITIES


class Level(StrEnum):
    """How grave; `info` is Sigma's `informational`."""

    INFO = "info"
    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def severity(self) -> int:
        """The number that alerts carry."""
        return SEVERITIES["informational" if self is Level.INFO else self.value]
