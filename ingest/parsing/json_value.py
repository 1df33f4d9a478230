"""Reading one JSON value of unknown origin, the same way everywhere.

`orjson` reads what is plain. What it refuses or would bend (integers beyond 64 bits, lone surrogates, invalid UTF-8)
goes to the slower reader in `json_careful`. Both give the same value where both give one.

Promises: integers stay integers however long (up to 4,300 digits); of duplicate keys the last wins; whatever text comes
out can be encoded as UTF-8; NUL stays. Refused: `NaN` and `Infinity`, also as `1e999`; nesting beyond `MAX_DEPTH`.
"""

from __future__ import annotations

from typing import Any

import orjson

from ingest.parsing.json_careful import MAX_DEPTH, JsonFault, read_json
from ingest.schema.errors import MalformedRecord

_BOM = b"\xef\xbb\xbf"
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * 20  # 2**64 has 20 digits; orjson turns integers beyond it into floats without a word
_NEGATIVE_LONG = b"-" + b"0" * 19  # -2**63 has 19


def parse_object(record: bytes, where: str = "") -> dict[str, Any]:
    """The JSON object that a record is.

    Args:
        record: The exact bytes.
        where: Place to name in the error (the field a text was taken from).

    Raises:
        MalformedRecord: Not JSON, beyond the limits above, or another JSON value than an object.
    """
    try:
        value = _parse(record)
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


def _parse(text: bytes) -> Any:
    digits = text.translate(_DIGITS_AS_ZERO)
    if _LONG in digits or _NEGATIVE_LONG in digits:
        return read_json(text.removeprefix(_BOM))
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return read_json(text.removeprefix(_BOM))
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise JsonFault(f"nested deeper than {MAX_DEPTH} levels")
    return value


def _depth(value: Any) -> int:
    """Levels of containers, counted level by level so that depth costs no stack."""
    depth, level = 0, [value]
    while level := [item for item in level if item.__class__ in (dict, list)]:
        depth += 1
        level = [child for item in level for child in (item.values() if item.__class__ is dict else item)]
    return depth
