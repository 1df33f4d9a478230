"""Objects of a vendor as Elasticsearch can hold them below a `flattened` or an `object` field.

Names: in snake case where Elastic's integration has them so, dots as `_` (they would be read as paths), none blank,
none with NUL. Values: depth and terms within the limits of Lucene; what is beyond stays in `event.original`.

https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/flattened
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

_WORDS = re.compile(r"([a-z])([A-Z]+)")
_KEY_MAP = str.maketrans({".": "_", "\x00": "\ufffd"})
_LONGEST_KEY = 256  # characters
_LONGEST_NAMES = 4096  # characters of all names around a value
_DEEPEST = 12  # objects inside each other; the limit of the index is 20 with those around
_INDEXED, _SURE = 8191, 7500  # characters: what is longer is not indexed; below, four bytes each fit a term


def snake(name: str) -> str:
    """`userPrincipalName` as `user_principal_name`, the way Elastic's pipeline does it."""
    return _WORDS.sub(r"\1_\2", name).lower()


def held(value: Mapping[str, Any], *, snaked: bool) -> dict[str, Any]:
    """A copy that a `flattened` or `object` field can hold.

    Args:
        value: The object, pruned.
        snaked: Whether names get snake case.
    """
    return _held_object(value, snaked=snaked, depth=1, around=0)


def _held_object(value: Mapping[str, Any], *, snaked: bool, depth: int, around: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, item in value.items():
        key = _key(name, snaked) if len(name) <= _LONGEST_KEY else _key_of(name[:_LONGEST_KEY], snaked=snaked)
        if not key:
            continue
        kept = _held(item, snaked=snaked, depth=depth, around=around + len(key))
        if kept is not None:
            found[key] = kept
    return found


@functools.lru_cache(maxsize=8192)
def _key(name: str, snaked: bool) -> str:  # noqa: FBT001 - memoised by place
    """As `_key_of`; memoised, because a log has few names."""
    return _key_of(name, snaked=snaked)


def _key_of(name: str, *, snaked: bool) -> str:
    """A name as the index takes it; empty when nothing is left of it."""
    key = name.translate(_KEY_MAP)
    return (snake(key) if snaked else key) if key.strip() else ""


def _held(item: Any, *, snaked: bool, depth: int, around: int) -> Any:
    kind = item.__class__
    if kind is str:
        return _fitted(item)
    if kind is dict:
        if depth >= _DEEPEST or around > _LONGEST_NAMES:
            return _fitted(json.dumps(item, ensure_ascii=True))
        return _held_object(item, snaked=snaked, depth=depth + 1, around=around) or None
    if kind is list:
        kept = [_held(one, snaked=snaked, depth=depth, around=around) for one in item]
        return [one for one in kept if one is not None] or None
    return item


def _fitted(text: str) -> str:
    """The text; cut where it is short enough to be indexed and its bytes would not fit a term."""
    return text[:_SURE] if _SURE < len(text) <= _INDEXED and not text.isascii() else text


def by_number(items: list[Any]) -> dict[str, Any]:
    """A list as an object keyed by position: rules query `target_resources.0.display_name`."""
    return {str(number): item for number, item in enumerate(items)}
