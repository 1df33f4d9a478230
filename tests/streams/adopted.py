"""Adopted policies without a ledger."""

from __future__ import annotations

from collections.abc import Sequence

from storage.retention.verdict import InForce
from tests.storage.retention.samples import since


class Adopted:
    """One policy that is known from the beginning."""

    def stale(self, namespaces: Sequence[str]) -> list[str]:
        del namespaces
        return []

    def of(self, namespace: str) -> list[InForce]:
        return [since("2020-01-01", {"name": "everything", "cold": "P2Y"})] if namespace == "unit" else []
