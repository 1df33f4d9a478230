"""The free-form bodies of an event: as searchable text, and as flattened objects where Elasticsearch can hold them.

What a `flattened` field can't take would lose the whole document, so such an object is left out (its text stays) or its
names are mended:

* a Lucene term holds 32,766 bytes, so the text must be shorter than that, in characters and in bytes;
* objects nest at most 20 deep (`depth_limit`);
* a name must not hold NUL, which separates name and value in the index (an empty name or one of dots is taken).

Tried on Elasticsearch 8.19.8: depth 21, NUL in a name, and a term beyond 32,766 bytes each refuse the whole document.

https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/flattened
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.aws_cloudtrail.values import text_of
from ingest.parsing.java_text import java_text

TERM_BYTES = 32_766
_DEEPEST = 20
_BODIES = (
    ("requestParameters", "request_parameters"),
    ("responseElements", "response_elements"),
    ("additionalEventData", "additional_eventdata"),
    ("serviceEventDetails", "service_event_details"),
)
_NUL = "\x00"


def bodies_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """The texts under `request_parameters`, …, and the objects under `flattened`; absent bodies are left out."""
    found: dict[str, Any] = {}
    flattened: dict[str, Any] = {}
    for name, target in _BODIES:
        if name not in event:
            continue
        value = event[name]
        if value.__class__ is dict:
            found[target] = text = java_text(value)
            held = flattened_of(value, text)
            if held is not None:
                flattened[target] = held
        else:
            found[target] = text_of(value)
    if flattened:
        found["flattened"] = flattened
    return found


def flattened_of(value: dict[str, Any], text: str) -> dict[str, Any] | None:
    """The object as a `flattened` field can hold it, or None when it can't.

    Args:
        value: The object, pruned.
        text: Its Java text.
    """
    if len(text) >= TERM_BYTES or (not text.isascii() and len(text.encode("utf-8", "replace")) >= TERM_BYTES):
        return None
    if text.count("{") > _DEEPEST and _depth(value) > _DEEPEST:
        return None
    if _NUL in text:
        mended: dict[str, Any] = _without_nul(value)
        return mended
    return value


def _depth(value: Any) -> int:
    """Objects inside each other; lists do not count."""
    deepest, rest = 0, [(value, 0)]
    while rest:
        node, above = rest.pop()
        if isinstance(node, dict):
            deepest = max(deepest, above + 1)
            rest.extend((item, above + 1) for item in node.values())
        elif isinstance(node, list):
            rest.extend((item, above) for item in node)
    return deepest


def _without_nul(value: Any) -> Any:
    """The same with every NUL in a name replaced; what is a value may hold NUL."""
    if isinstance(value, dict):
        return {name.replace(_NUL, "\N{REPLACEMENT CHARACTER}"): _without_nul(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value
