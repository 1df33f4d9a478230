"""Reading single values of Azure records, whose types change with the channel.

`level` and `durationMs` come as number or text, `operationName` as text or as `{"value", "localizedValue"}`, objects as
objects or as JSON text. A surprising type never loses the event: a scalar becomes what the target needs where that is
possible, anything else is left out of the document and stays in `event.original`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ingest.parsing.json_value import json_text
from ingest.parsing.scalars import text_of

_DEEPEST = 200  # levels
_BRACKETS = re.compile(r"[{}\[\]]")


def named_value(value: Any) -> Any:
    """What the REST API wraps as `{"value": …, "localizedValue": …}`; anything else as it is."""
    if value.__class__ is dict and "value" in value:
        return value["value"]
    return value


def opened(value: Any) -> Any:
    """The object or list that a JSON text holds; any other value, and one nested too deep, as it is."""
    if value.__class__ is str and value[:1] in ("{", "[") and not _deep(value):
        inner = json_text(value)
        return inner if inner.__class__ in (dict, list) else value
    return value


def _deep(text: str) -> bool:
    """Whether brackets run deeper than what follows can walk with the interpreter's stack."""
    if text.count("{") + text.count("[") <= _DEEPEST:
        return False
    depth = deepest = 0
    for mark in _BRACKETS.findall(text):
        depth += 1 if mark in "{[" else -1
        deepest = max(deepest, depth)
    return deepest > _DEEPEST


def object_of(value: Any) -> dict[str, Any] | None:
    """An object, also one written as JSON text; None for anything else."""
    found = opened(value)
    return found if found.__class__ is dict else None


def objects_of(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, or the one object that stands in its place; of JSON text as well."""
    found = opened(value)
    if found.__class__ is dict:
        return [found]
    return [item for item in found if item.__class__ is dict] if found.__class__ is list else []


def first_text(source: Mapping[str, Any], *names: str) -> str | None:
    """The first of these members that is a text or another scalar."""
    for name in names:
        text = text_of(source.get(name))
        if text is not None:
            return text
    return None
