"""Index filters: Sigma rules whose matches are not indexed. Sealed and evaluated they are all the same."""

from __future__ import annotations

from detectors.sigma.engine import Engine
from streams.agents.index import KeepOut
from streams.preparing import PreparedMessage


def nothing(_: PreparedMessage) -> dict[int, str]:
    """No filters."""
    return {}


def keep_out(engine: Engine) -> KeepOut:
    """Keep the matches of an engine's rules out of the index; the first rule that matches gives the name."""
    if not engine.rules:
        return nothing

    def decide(message: PreparedMessage) -> dict[int, str]:
        if message.format is None:
            return {}
        views = []
        for prepared in message.records:
            view = prepared.identified.reading.view()
            view.ecs = prepared.identified.document
            views.append(view)
        found: dict[int, str] = {}
        for number, rule in engine.match(views, message.format.log_source):
            found.setdefault(number, rule.id)
        return found

    return decide
