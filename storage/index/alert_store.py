"""Writes alerts (append-only) and what changes about them (triage state) with the alerter identity.

The state is updated in parts: what detection counts is replaced, what people decide (`triage.py`) is
set once, when the state is created, and never touched again by us.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detectors.triage import ENTRIES
from storage.index.bulk import BulkItem, Outcome
from storage.index.documents import serialise
from storage.index.names import ALERT_DATASET, ALERT_STATE_INDEX, index_name, period_of
from storage.index.writer import Writer
from storage.settings import Period


@dataclass(frozen=True, slots=True)
class AlertDocument:
    """An alert to be written.

    Attributes:
        opened: Event time of what opened it; decides on the index, so that a replay finds the same one.
    """

    id: str
    namespace: str
    opened: dt.datetime
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AlertGrowth:
    """A new count of an alert.

    Attributes:
        state: The whole state, used when there is none yet.
        growth: The part that replaces what is stored; without the entries of people.
    """

    id: str
    state: Mapping[str, Any]
    growth: Mapping[str, Any]


class AlertStore:
    """Alerts and their state.

    Args:
        writer: Of the alerter identity.
        periods: Configured index periods per data set.
    """

    def __init__(self, writer: Writer, periods: Mapping[str, Period]) -> None:
        self._writer = writer
        self._period = period_of(ALERT_DATASET, periods)

    def index_of(self, namespace: str, opened: dt.datetime) -> str:
        """The index of an alert."""
        return index_name(ALERT_DATASET, namespace, opened, self._period)

    async def add(self, alerts: Sequence[AlertDocument]) -> Outcome:
        """Write alerts that are not there yet; returns when each is there or refused (see `Writer.write`)."""
        return await self._writer.write(
            [
                BulkItem(self.index_of(alert.namespace, alert.opened), alert.id, serialise(alert.document))
                for alert in alerts
            ]
        )

    async def grow(self, growths: Sequence[AlertGrowth]) -> Outcome:
        """Write new counts; of several for one alert the last one counts. Returns when all are written or refused.

        Raises:
            ValueError: A growth would overwrite what people decided.
        """
        newest = {growth.id: growth for growth in growths}
        return await self._writer.write(
            [BulkItem(ALERT_STATE_INDEX, growth.id, _update(growth), "update") for growth in newest.values()]
        )


def _update(growth: AlertGrowth) -> bytes:
    of_people = ENTRIES & growth.growth.get("skytrail", {}).get("alert", {}).keys()
    if of_people:
        raise ValueError(f"growth of alert {growth.id} would overwrite {', '.join(sorted(of_people))}")
    return serialise({"doc": growth.growth, "upsert": growth.state})
