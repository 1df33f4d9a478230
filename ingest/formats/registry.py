"""Finds the formats: every folder beside this file that has a `format.py` with a `FORMAT`."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from ingest import formats
from ingest.formats.contract import Format
from ingest.schema.common_fields import COMMON_FIELDS
from ingest.schema.errors import ConfigError
from ingest.schema.fields import Registry


@functools.cache
def all_formats() -> Mapping[str, Format]:
    """Every format by name, in the order of the names."""
    found: dict[str, Format] = {}
    for entry in pkgutil.iter_modules(formats.__path__):
        name = f"{formats.__name__}.{entry.name}.format"
        if entry.ispkg and importlib.util.find_spec(name):
            module = importlib.import_module(name)
            found[module.FORMAT.name] = module.FORMAT
    return MappingProxyType(dict(sorted(found.items())))


def format_named(name: str) -> Format:
    """The format of this name.

    Raises:
        ConfigError: There is none; the message lists those there are.
    """
    try:
        return all_formats()[name]
    except KeyError:
        known = ", ".join(all_formats())
        raise ConfigError(f"choosing format: there is no format {name!r}", mend=f"use one of: {known}") from None


@functools.cache
def registry() -> Registry:
    """Common fields and those of every format."""
    return Registry([*COMMON_FIELDS, *(f for fmt in all_formats().values() for f in fmt.fields)])


def registry_of(format_: Format) -> Registry:
    """Common fields and those of one format: what a document of it may hold."""
    return Registry([*COMMON_FIELDS, *format_.fields])
