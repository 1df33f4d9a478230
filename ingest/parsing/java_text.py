"""JSON values as Java's `Map.toString()` would print them.

Elastic's pipeline indexes CloudTrail bodies as such text, so stock rules look for `publiclyAccessible=true` or
`Effect=Allow` in it. There is no quoting: the text is for searching, not for reading back.
"""

from __future__ import annotations

from typing import Any


def java_text(value: Any) -> str:
    """`{a=1, b=[x, true]}` for ``{"a": 1, "b": ["x", true]}``; keys keep the order of the source."""
    if value.__class__ is str:
        return value
    if isinstance(value, dict):
        parts = [f"{key}={item if item.__class__ is str else java_text(item)}" for key, item in value.items()]
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(java_text, value)) + "]"
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    return str(value)
