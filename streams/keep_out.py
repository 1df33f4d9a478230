"""Index filters: Sigma rules whose matches are not indexed. Sealed and evaluated they are all the same."""

from __future__ import annotations

from detectors.sigma.engine import Engine
from ingest.schema.errors import RejectedRecord
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
        views, places = [], []
        for place, prepared in enumerate(message.records):
            try:
                view = message.format.view(prepared.record)
            except RejectedRecord:
                continue  # what can't be viewed can't match a filter; it is indexed
            view.ecs = prepared.identified.document
            views.append(view)
            places.append(place)
        found: dict[int, str] = {}
        for number, rule in engine.match(views, message.format.log_source):
            found.setdefault(places[number], rule.id)
        return found

    return decide
