"""What a control rests on: facts, each measured by code in `evidence/`, and the ground on which they are measured.

A module there has `FACTS`, the facts it can measure by name; adding one edits no existing file. A fact that can't be
measured is unknown, with the reason in words; nobody may take it for a good one.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ingest.schema.errors import SkytrailError
from skytrail.reports import evidence
from skytrail.reports.gathering import Asked

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fact:
    """What was measured.

    Attributes:
        holds: None: it could not be measured.
        told: The figures, in words.
    """

    holds: bool | None
    told: str


@dataclass(slots=True)
class Ground:
    """What facts are measured on. Several facts look at one thing: it is gathered once.

    Args:
        asked: Of the report.
    """

    asked: Asked
    _gathered: dict[str, asyncio.Future[Any]] = field(default_factory=dict)

    async def once(self, name: str, gather: Callable[[Asked], Awaitable[_T]]) -> _T:
        """What `gather` gives, or the error it raised, asked for once per name."""
        if name not in self._gathered:
            self._gathered[name] = asyncio.ensure_future(gather(self.asked))
        found: _T = await self._gathered[name]
        return found


Measure = Callable[[Ground, str], Awaitable[Fact]]
"""Measures a fact; the text is what stands behind the colon of its name: `retention-floor:pci-dss`."""


def all_facts() -> Mapping[str, Measure]:
    """Every fact that can be measured, by name."""
    found: dict[str, Measure] = {}
    for entry in pkgutil.iter_modules(evidence.__path__):
        found |= importlib.import_module(f"{evidence.__name__}.{entry.name}").FACTS
    return found


async def measured(ground: Ground, names: Sequence[str], known: Mapping[str, Measure]) -> dict[str, Fact]:
    """These facts, one after the other; a source that does not answer makes its facts unknown."""
    found: dict[str, Fact] = {}
    for name in dict.fromkeys(names):
        kind, _, subject = name.partition(":")
        try:
            found[name] = await known[kind](ground, subject)
        except (SkytrailError, OSError) as exc:  # the report tells it: an unknown fact satisfies no control
            found[name] = Fact(None, f"not measured: {exc}")
    return found
