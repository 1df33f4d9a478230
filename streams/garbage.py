"""Garbage collection of a worker.

A worker holds some hundred thousand objects for good (rules, libraries) and makes as many for each batch, hardly one of
them in a cycle. With the interpreter's thresholds it looks through all of them again and again: a third of the time of
the role index (`docs/performance.md`). So what is there at the start is set aside, and the rest is looked at seldom.
"""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 100)
"""Containers made and not yet freed before a collection of the young; collections of the young before one of the
middle; of the middle before one of all."""


def collect_seldom() -> None:
    """Call once, when everything that stays has been loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
