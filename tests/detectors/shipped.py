"""The rules we ship, loaded once for all tests of a process: they prove themselves, which takes seconds."""

from __future__ import annotations

import functools

from detectors.rulebook import Rulebook, load


@functools.cache
def shipped() -> Rulebook:
    """What `load` gives without arguments."""
    return load()
