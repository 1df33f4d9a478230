"""Which engine evaluates rules: decided in one place for the stream, for scans and for backtests."""

from __future__ import annotations

from collections.abc import Iterable

from detectors.rule import Rule
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.engine import Engine, OnError


def build_engine(rules: Iterable[Rule], on_error: OnError | None = None) -> Engine:
    """An engine for these rules.

    Args:
        rules: What it runs.
        on_error: Told of a rule that raised on an event.
    """
    return CompiledEngine(rules, on_error=on_error)
