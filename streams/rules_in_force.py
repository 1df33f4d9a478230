"""The rules that a role detects by: the shipped ones and those of the settings."""

from __future__ import annotations

from pathlib import Path

from detectors.proving import OWN_RULES, files_of_others
from detectors.rulebook import Rulebook, load
from streams.settings import DetectionSettings


def load_rules(detection: DetectionSettings) -> Rulebook:
    """The rules in force: the shipped ones and those of the settings.

    Raises:
        ConfigError: A rule directory of the settings does not exist.
    """
    return load(rule_paths(detection), detection.placeholders, prove=files_of_others)


def rule_paths(detection: DetectionSettings) -> list[Path]:
    """Where the rules in force lie."""
    return [*([OWN_RULES] if detection.shipped_rules else []), *detection.rules]
