"""Policies and regimes for tests."""

from __future__ import annotations

import datetime as dt
from typing import Any

from storage.retention.policy import Policy, complete
from storage.retention.regimes import Regime, convert, shipped
from storage.retention.verdict import InForce


def moment(text: str) -> dt.datetime:
    """A time, UTC: `2026-11-27`, or with hours."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def policy(*classes: dict[str, Any], rows: tuple[Regime, ...] | None = None, **more: Any) -> Policy:
    """A policy of these classes."""
    values = {"version": 1, "name": "acme", "class": list(classes), **more}
    return complete(convert(values, Policy, "test"), shipped() if rows is None else rows, "test")


def since(start: str, *classes: dict[str, Any], **more: Any) -> InForce:
    """A policy that came into force at a time."""
    return InForce(moment(start), policy(*classes, **more))
