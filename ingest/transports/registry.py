"""Finds the transports: every folder beside this file that has a `transport.py`.

A transport brings three modules: `settings.py` with `SETTINGS`, the type of its own settings (it imports no SDK, since
every command reads the settings); `transport.py` with `open_transport(settings, place)`; and, where a look at the
settings can tell more than their type, `inspection.py` with `inspect(settings)`. Where it keeps bodies in a spool, its
`transport.py` has `open_leftover(settings, place)`, too.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from ingest.settings import CollectorSettings
from ingest.transports.contract import Finding, Place, Transport
from ingest.transports.leftover import Leftover


@functools.cache
def all_transports() -> Mapping[str, type[BaseModel]]:
    """The settings types of the transports by name, in the order of the names."""
    names = sorted(file.parent.name for file in Path(__file__).parent.glob("*/transport.py"))
    return {name: importlib.import_module(f"{__package__}.{name}.settings").SETTINGS for name in names}


@functools.cache
def collector_type(transport: str) -> type[CollectorSettings]:
    """The settings type of collectors with this transport: what all have, and a table with the transport's name.

    Raises:
        KeyError: There is no such transport.
    """
    own = all_transports()[transport]
    description = f"Settings of the transport {transport}."
    required = any(field.is_required() for field in own.model_fields.values())
    table: Any = Field(description=description) if required else Field(default=own(), description=description)
    fields: Any = {
        "transport": (Literal[transport], CollectorSettings.model_fields["transport"]),
        transport: (own, table),
    }
    name = f"{own.__name__.removesuffix('Settings')}Collector"
    return create_model(name, __base__=CollectorSettings, __doc__=CollectorSettings.__doc__, **fields)


def as_collector(values: Any) -> Any:
    """Read a collector's table as the type that its `transport` asks for; anything else goes back as it came.

    Raises:
        ValueError: There is no such transport, or a setting is unknown or wrong.
    """
    if not isinstance(values, Mapping) or "transport" not in values:
        return values
    if values["transport"] not in all_transports():
        raise ValueError(f"there is no transport {values['transport']!r}; there are {', '.join(all_transports())}")
    return collector_type(values["transport"]).model_validate(values)


async def open_transport(settings: CollectorSettings, place: Place) -> Transport:
    """Open the transport that the settings name.

    Raises:
        ConfigError: Its settings are wrong or unsafe, or the source says no.
    """
    module = importlib.import_module(f"{__package__}.{settings.transport}.transport")
    transport: Transport = await module.open_transport(settings.own, place)
    return transport


def open_leftover(settings: CollectorSettings, place: Place) -> Leftover | None:
    """What the spool of a collector that runs no more still holds; None of a transport or collector without one.

    Raises:
        ConfigError: Another process has the spool.
    """
    module = importlib.import_module(f"{__package__}.{settings.transport}.transport")
    opener = getattr(module, "open_leftover", None)
    found: Leftover | None = opener(settings.own, place) if opener else None
    return found


def inspect(settings: CollectorSettings) -> list[Finding]:
    """What a look at the settings of a transport finds, without a connection.

    Raises:
        ConfigError: The transport could not start with them.
    """
    path = f"{__package__}.{settings.transport}.inspection"
    if importlib.util.find_spec(path) is None:
        return [Finding("ok", f"{settings.format} from {settings.transport}")]
    found: Iterable[Finding] = importlib.import_module(path).inspect(settings.own)
    return list(found)
