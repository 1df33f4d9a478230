"""Documents as bytes, and documents made acceptable: one bad value never costs the document its place in the index.

`serialise` is on the hot path. `fit` is not: the writer asks for it only when the server has refused a document, so
that the many good ones pay nothing. Whatever either of them changes, `event.original` and the archive keep the exact
bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import orjson

from ingest.schema.fields import Field
from storage.index.bulk import Mend
from storage.index.mapping import FLATTENED_DEPTH, Tree

_DEEPEST: Final = 100  # levels; orjson writes 254, Elasticsearch reads 1000
_TERM_BYTES: Final = 32_766  # Lucene's limit; a flattened leaf is indexed as path, NUL, value
_CUT_CHARS: Final = 1000
_NAME_CHARS: Final = 250
_INT64: Final = 2**63
_SCALAR_TYPES: Final = frozenset(
    {"keyword", "name", "wildcard", "text", "raw", "ip", "date", "boolean", "long", "double"}
)


def serialise(document: Mapping[str, Any]) -> bytes:
    """The document as JSON on one line.

    What JSON writers or Elasticsearch can't take is changed within bounds: integers beyond 64 bits become strings, lone
    surrogates U+FFFD, infinities and NaN null, and what is nested deeper than 100 levels a remark.
    """
    try:
        return orjson.dumps(document)
    except TypeError:  # orjson's errors are TypeErrors
        return orjson.dumps(_tame(document, _DEEPEST))


def mender(trees: Mapping[str, Tree]) -> Mend:
    """A `Mend` for the writer.

    Args:
        trees: Fields by data set; documents of other data sets are not mended.
    """

    def mend(body: bytes, reason: str) -> bytes | None:
        document = orjson.loads(body)
        stream = document.get("data_stream")
        fields = trees.get(stream.get("dataset", "")) if isinstance(stream, dict) else None
        if fields is None:
            return None
        fitted = fit(document, fields)
        if fitted == document:
            return None
        error = fitted.get("error")
        before = error if isinstance(error, dict) else {}
        told = before.get("message", [])
        messages = [*(told if isinstance(told, list) else [told]), f"changed to fit the index: {reason}"]
        fitted["error"] = {**before, "message": messages}
        return serialise(fitted)

    return mend


def fit(document: Mapping[str, Any], fields: Tree) -> dict[str, Any]:
    """A copy that the mapping of `fields` accepts: values stand where values belong, objects where objects do.

    An object in place of a value becomes its JSON text; a value in place of an object becomes `{"value": …}`; names
    that Elasticsearch would read as paths get `_` for the dots.
    """
    return {_safe_name(name): _fit(value, fields.get(name)) for name, value in document.items()}


def _fit(value: Any, node: Tree | Field | None) -> Any:
    if isinstance(value, list):
        return [_fit(each, node) for each in value]
    if value is None or node is None:
        return value  # below `dynamic: false` the server does not look at what it does not know
    if isinstance(node, dict):
        return fit(value, node) if isinstance(value, dict) else {"value": value}
    if node.type in _SCALAR_TYPES:
        return _text(value) if isinstance(value, dict) else value
    if node.type == "flattened":
        return _flat(value if isinstance(value, dict) else {"value": value}, node.name, FLATTENED_DEPTH - 1)
    if node.type == "object":
        return fit(value, {}) if isinstance(value, dict) else {"value": value}
    return value


def _flat(value: Any, path: str, depth: int) -> Any:
    """A value below a flattened field: neither too deep nor with a term too long nor with a NUL in a name."""
    if isinstance(value, dict):
        if depth == 0:
            return _text(value)
        inside = {_leaf_name(name): inner for name, inner in value.items()}
        return {name: _flat(inner, f"{path}.{name}", depth - 1) for name, inner in inside.items()}
    if isinstance(value, list):
        return [_flat(inner, path, depth) for inner in value]
    if isinstance(value, str) and len(path.encode()) + 1 + len(value.encode()) > _TERM_BYTES:
        return value[:_CUT_CHARS] + "…"
    return value


def _leaf_name(name: str) -> str:
    """A name for the path of a flattened leaf: twenty of them and a cut value stay below the longest term."""
    sound = name.replace("\x00", "\ufffd")
    return sound if len(sound) <= _NAME_CHARS else sound[:_NAME_CHARS] + "…"


def _safe_name(name: str) -> str:
    """Dots inside a name make a path, which must have no empty part; the names of our own fields have none."""
    return name.replace(".", "_").strip() or "_"


def _text(value: Any) -> str:
    return serialise(value).decode()


def _tame(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        if depth == 0:
            return f"(nested deeper than {_DEEPEST} levels)"
        return {_sound(str(name)): _tame(inner, depth - 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        if depth == 0:
            return f"(nested deeper than {_DEEPEST} levels)"
        return [_tame(inner, depth - 1) for inner in value]
    if isinstance(value, str):
        return _sound(value)
    if isinstance(value, int) and not -_INT64 <= value < _INT64 * 2:
        return _big(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _sound(text: str) -> str:
    """The text without lone surrogates."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if not text.isascii() else text


def _big(value: int) -> str:
    """A huge integer as text: decimal as long as that is cheap and allowed, else hexadecimal, cut."""
    return str(value) if value.bit_length() < 4096 else hex(value)[:_CUT_CHARS] + "…"  # noqa: PLR2004 - bits
