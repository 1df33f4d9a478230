"""Makes of a rule set what the role detect evaluates."""

from __future__ import annotations

from collections.abc import Callable

from detectors.correlation.signals import Router
from detectors.exceptions import Exceptions
from detectors.rulebook import Rulebook
from detectors.sigma.choose import build_ready_engine
from streams import rulesets
from streams.agents.detect import Rules
from streams.runtime import Runtime


def rules_builder(runtime: Runtime) -> Callable[[Rulebook], Rules]:
    """Makes of a rule set what evaluates it; rules that raise are counted."""
    raised = runtime.telemetry.rule_errors

    def build(book: Rulebook) -> Rules:
        engine = build_ready_engine(book.evaluated, lambda rule, _: raised.labels(rule.id).inc())
        silent = frozenset(rule.id for rule in book.bases)
        exceptions = Exceptions(book.exceptions, lambda one, _: raised.labels(one.id).inc())
        content = rulesets.pack(rulesets.of_book(book))
        router = Router(book.correlations, version=book.version, taken=int(runtime.now().timestamp() * 1000))
        return Rules(engine, book.version, router, silent, exceptions, content)

    return build
