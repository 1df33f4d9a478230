"""Reading single values whose type may differ from what the vendor promises.

A surprising type never loses the event: a scalar becomes what the target needs where that is possible, anything else is
left out of the document and stays in `event.original`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})
_LONG = range(-(2**63), 2**63)
_LONG_DIGITS = 19
_WORDS = {"true": True, "false": False}


def mapping_of(value: Any) -> Mapping[str, Any]:
    """The value when it is an object, else an empty one."""
    return value if value.__class__ is dict else NOTHING


def mappings_of(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; none of anything else."""
    return [item for item in value if item.__class__ is dict] if value.__class__ is list else []


def text_of(value: Any) -> str | None:
    """A scalar as text; None for null, empty text, objects and lists."""
    if value.__class__ is str:
        return value or None
    if value.__class__ is bool:
        return "true" if value else "false"
    if value.__class__ is int or value.__class__ is float:
        return str(value)
    return None


def texts_of(value: Any) -> list[str]:
    """The texts of a list of scalars, or of one scalar."""
    items = value if value.__class__ is list else [value]
    return [text for item in items if (text := text_of(item)) is not None]


def long_of(value: Any) -> int | None:
    """A whole number of 64 bits, also one written as text; None for anything else."""
    if value.__class__ is str and value.isascii() and value.isdigit() and len(value) <= _LONG_DIGITS:
        value = int(value)
    return value if value.__class__ is int and value in _LONG else None


def boolean_of(value: Any) -> bool | None:
    """`true`, `"true"` and their opposites in any case; None for anything else."""
    if value.__class__ is str:
        return _WORDS.get(value.lower())
    return value if value.__class__ is bool else None


def picked(source: Mapping[str, Any], table: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The scalars of `source` named on the left of `table`, as text under the names on the right."""
    return {target: text for name, target in table if (text := text_of(source.get(name))) is not None}
