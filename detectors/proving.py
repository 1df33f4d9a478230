"""Which rules run their own tests when they are loaded: most of the time that loading takes is theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

OWN_RULES = Path(__file__).with_name("rules")
"""The rules that ship with Skytrail."""

Proves = Callable[[str], bool]
"""Whether the rules of this file run their tests."""


def every_file(_: str) -> bool:
    """All do: whoever writes or judges rules."""
    return True


def no_file(_: str) -> bool:
    """None does: hunts and lists, where a rule costs nothing but its own hits."""
    return False


def files_of_others(file: str) -> bool:
    """Those that did not ship do: a worker starts again in mid-stream, and the shipped ones were tested when built."""
    return not Path(file).is_relative_to(OWN_RULES)
