"""Which engine evaluates rules: decided in one place for the stream, for scans and for backtests."""

from __future__ import annotations

from collections.abc import Iterable

from detectors.rule import Rule
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.engine import Engine, OnError
from ingest.formats.registry import all_formats


def build_engine(rules: Iterable[Rule], on_error: OnError | None = None) -> Engine:
    """An engine for these rules, compiled for a format when its first event comes.

    Args:
        rules: What it runs.
        on_error: Told of a rule that raised on an event.
    """
    return CompiledEngine(rules, on_error=on_error)


def build_ready_engine(rules: Iterable[Rule], on_error: OnError | None = None) -> Engine:
    """As `build_engine`, compiled for every format: whoever serves a stream must not stop for that at some event."""
    engine = CompiledEngine(rules, on_error=on_error)
    engine.make_ready(all_formats().values())
    return engine
