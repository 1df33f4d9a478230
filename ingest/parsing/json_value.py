"""Reading one JSON value of unknown origin, the same way everywhere.

`msgspec` reads what is plain, integers beyond 64 bits included. What it refuses (lone surrogates, invalid UTF-8, depth)
goes to the slower reader in `json_careful`. Both give the same value where both give one.

Promises: integers stay integers however long (up to 4,300 digits); of duplicate keys the last wins; whatever text comes
out can be encoded as UTF-8; NUL stays. Refused: `NaN` and `Infinity`, also as `1e999`; nesting beyond `MAX_DEPTH`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ingest.parsing.json_careful import MAX_DEPTH, JsonFault, read_json
from ingest.schema.errors import MalformedRecord

_BOM = b"\xef\xbb\xbf"
_decode = msgspec.json.Decoder().decode


def parse_object(record: bytes, where: str = "", *, deepest: int = MAX_DEPTH) -> dict[str, Any]:
    """The JSON object that a record is.

    Args:
        record: The exact bytes.
        where: Place to name in the error (the field a text was taken from).
        deepest: Levels of containers; what walks a value with the interpreter's stack needs fewer than can be read.

    Raises:
        MalformedRecord: Not JSON, beyond the limits above, or another JSON value than an object.
    """
    try:
        value = _parse(record, deepest)
    except JsonFault as exc:
        raise MalformedRecord(f"reading JSON: {exc}", where=where) from exc
    if value.__class__ is not dict:
        kind = "null" if value is None else type(value).__name__
        raise MalformedRecord(f"reading JSON: an object is expected, found {kind}", where=where)
    return value


def json_text(text: str) -> Any | None:
    """The value of a text that may be JSON; None for `null`, and when it is not JSON: providers write look-alikes."""
    try:
        return _parse(text.encode("utf-8", "replace"))
    except JsonFault:
        return None


def _parse(text: bytes, deepest: int = MAX_DEPTH) -> Any:
    try:
        value = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = read_json(text.removeprefix(_BOM))
    if len(text) > 2 * deepest and text.count(b"{") + text.count(b"[") > deepest and _depth(value) > deepest:
        raise JsonFault(f"nested deeper than {deepest} levels")
    return value


def _depth(value: Any) -> int:
    """Levels of containers, counted level by level so that depth costs no stack."""
    depth, level = 0, [value]
    while level := [item for item in level if item.__class__ in (dict, list)]:
        depth += 1
        level = [child for item in level for child in (item.values() if item.__class__ is dict else item)]
    return depth
