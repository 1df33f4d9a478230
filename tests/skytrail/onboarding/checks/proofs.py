"""Runs the proof of a collector without the last step, which asks Skytrail's own Kafka."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from pydantic import BaseModel

from ingest.transports.registry import as_collector
from skytrail.diagnosis.check import Check
from skytrail.onboarding.proving import Asked, prove


async def proof(
    transport: str, own: BaseModel, *, format_name: str = "auto", ahead: dt.timedelta = dt.timedelta()
) -> dict[str, Check]:
    """What is found, by the names of the checks; the settings come first, the arrival of events last.

    Args:
        ahead: How far our clock is ahead of the source's.
    """
    values = own.model_dump(mode="json", exclude_unset=True)
    settings = as_collector({"transport": transport, "format": format_name, transport: values})
    asked = Asked("source", settings, lambda: dt.datetime.now(dt.UTC) + ahead)

    async def arrived(_within_s: float) -> Iterable[Check]:
        return [Check("events", "ok", "")]

    return {check.name: check async for check in prove(asked, arrived)}


def states(found: dict[str, Check]) -> dict[str, str]:
    """How each step ended, without what is said of the settings and of the arrival."""
    others = ("collector ", "secret file", "events")
    return {name: check.state for name, check in found.items() if not name.startswith(others)}
