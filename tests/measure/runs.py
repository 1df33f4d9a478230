"""Correlations over the events of one attack run, in the order of their file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from detectors.correlation.alone import Alone
from detectors.correlation.signals import Router
from detectors.rulebook import Rulebook
from detectors.sigma.engine import InterpretedEngine
from ingest.document import Receipt, complete
from ingest.formats.contract import Format
from ingest.schema.errors import RejectedRecord


def correlated(book: Rulebook, format_: Format, records: Sequence[bytes]) -> set[str]:
    """Ids of the correlations that raise an alert on these records."""
    router = Router(book.correlations)
    alone = Alone(router)
    engine = InterpretedEngine(book.evaluated)
    received = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)  # no event time is beyond, so none is taken for wild
    found = []
    for ordinal, record in enumerate(records):
        receipt = Receipt(namespace="default", collector="run", received_at=received, locator="run", ordinal=ordinal)
        try:
            event = complete(format_, record, receipt, received)
        except RejectedRecord:
            continue
        view = event.reading.view()
        view.ecs = event.document
        matches = list(engine.match([view], format_.log_source))
        found += alone.follow(
            router.signals(
                matches, [view], [event], format_.log_source, ruleset_version="run", index_of=lambda _: "run"
            )
        )
    found += alone.finish()
    silent = {one.id for one in book.correlations if one.silent}
    return {detection.rule_id for detection in found} - silent
