"""Finds the transports: every module beside this file that has an `open_transport`."""

from __future__ import annotations

import importlib
import importlib.util

from ingest.schema.errors import ConfigError
from ingest.settings import CollectorSettings
from ingest.transports.contract import Place, Transport


async def open_transport(settings: CollectorSettings, place: Place) -> Transport:
    """Open the transport that the settings name.

    Raises:
        ConfigError: There is no such transport, or its settings are wrong or unsafe.
    """
    path = f"ingest.transports.{settings.transport}"
    opener = None
    if importlib.util.find_spec(path) is not None:
        opener = getattr(importlib.import_module(path), "open_transport", None)
    if opener is None:
        raise ConfigError(f"opening transport: there is no transport {settings.transport!r}", where=place.name)
    transport: Transport = await opener(settings, place)
    return transport
