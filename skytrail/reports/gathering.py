"""What the kinds of reports are made from, and which kinds there are: every file in `kinds/` has one.

A kind is a module with `TITLE` and `gather(asked)`; adding one edits no existing file.
"""

from __future__ import annotations

import datetime as dt
import importlib
import pkgutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import AsyncElasticsearch

from ingest.document import PRODUCT_VERSION
from ingest.schema.errors import ConfigError
from skytrail.reports import kinds
from skytrail.reports.report import Report, Section
from skytrail.settings import Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is asked for.

    Attributes:
        settings: Connected.
        client: Of the reader identity.
        namespace: Only this one; None: all.
        start: Earliest time; None: the beginning.
        end: Time before which it ends.
        now: The present.
    """

    settings: Settings
    client: AsyncElasticsearch
    namespace: str | None
    start: dt.datetime | None
    end: dt.datetime
    now: dt.datetime

    @property
    def scope(self) -> str:
        """In words."""
        return f"namespace {self.namespace}" if self.namespace else "all namespaces"


Gather = Callable[[Asked], Coroutine[Any, Any, Sequence[Section]]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of report.

    Attributes:
        title: For people.
        gather: Gathers the evidence.
    """

    name: str
    title: str
    gather: Gather


def all_kinds() -> Mapping[str, Kind]:
    """Every kind by its name."""
    found: dict[str, Kind] = {}
    for entry in pkgutil.iter_modules(kinds.__path__):
        module = importlib.import_module(f"{kinds.__name__}.{entry.name}")
        name = entry.name.replace("_", "-")
        found[name] = Kind(name, module.TITLE, module.gather)
    return dict(sorted(found.items()))


def kind_named(name: str) -> Kind:
    """A kind.

    Raises:
        ConfigError: There is none of this name.
    """
    try:
        return all_kinds()[name]
    except KeyError:
        known = ", ".join(all_kinds())
        raise ConfigError(f"choosing report: there is no kind {name!r}", mend=f"use one of: {known}") from None


async def make(kind: Kind, asked: Asked, made_by: str) -> Report:
    """Gather the evidence of a report.

    Raises:
        SkytrailError: A source of evidence can't be reached.
    """
    return Report(
        kind=kind.name,
        title=kind.title,
        scope=asked.scope,
        start=asked.start,
        end=asked.end,
        made_at=asked.now,
        made_by=made_by,
        product=f"Skytrail {PRODUCT_VERSION}",
        sections=tuple(await kind.gather(asked)),
    )
