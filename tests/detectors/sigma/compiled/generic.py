"""Random rules and records of any format, made of what its golden records hold."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from hypothesis import strategies as st

from detectors.rule import Rule
from detectors.sigma.ast import (
    And,
    Boolean,
    Cidr,
    Compare,
    Condition,
    Exists,
    FieldMatch,
    FieldReference,
    Keyword,
    Not,
    Null,
    Number,
    Or,
    Order,
    Regex,
    Test,
    Text,
    TimePart,
    TimeUnit,
    Wild,
)
from detectors.sigma.compiled.document import view_of
from ingest.formats.contract import Format
from ingest.schema.errors import RejectedRecord
from tests.detectors.sigma.building import rule
from tests.detectors.sigma.compiled.oracle import golden_records

_TEMPLATE = rule({"s": {"a": 1}, "condition": "s"})
_DEEPEST = 6
_FIXED: tuple[Test, ...] = (
    Cidr("0.0.0.0/0"),
    Cidr("10.0.0.0/8"),
    Cidr("::/0"),
    *(TimePart(unit, order, 11) for unit in get_args(TimeUnit) for order in get_args(Order)),
    *(TimePart("year", order, 2025) for order in get_args(Order)),
)
"""Tests of addresses and times: golden records have both."""
Scalar = str | int | float | bool | None


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Vocabulary:
    """What the golden records of a format say, in the vendor's words and in those of the document."""

    records: tuple[bytes, ...]
    fields: tuple[str, ...]
    values: tuple[Scalar, ...]


@functools.cache
def vocabulary(format_: Format) -> Vocabulary:
    known = []
    found: dict[tuple[str, Any], None] = {}
    for record in golden_records(format_):
        try:
            view = view_of(0, format_.read(record), None)
        except RejectedRecord:
            continue
        known.append(record)
        for tree in (view.vendor, dict(view.ecs)):
            found.update(dict.fromkeys(_leaves(tree)))
    fields = dict.fromkeys([path for path, _ in found])
    aliases = [name for name, path in format_.aliases.items() if path in fields]
    values = {repr(value): value for _, value in found if not isinstance(value, str) or len(value) < 80}
    return Vocabulary(
        tuple(known), (*fields, *aliases, *(f.upper() for f in list(fields)[::9]), "nowhere"), tuple(values.values())
    )


def _leaves(tree: Any, above: str = "", depth: int = 0) -> Iterator[tuple[str, Scalar]]:
    if isinstance(tree, dict) and depth < _DEEPEST:
        for name, value in tree.items():
            yield from _leaves(value, f"{above}.{name}" if above else str(name), depth + 1)
    elif isinstance(tree, list):
        for value in tree:
            yield from _leaves(value, above, depth)
    elif not isinstance(tree, dict):
        yield above, tree


def _one_of(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    """As `sampled_from`, which writes out all values in its name."""
    return st.integers(0, len(values) - 1).map(values.__getitem__)


def rules(format_: Format) -> st.SearchStrategy[list[Rule]]:
    """A few random rules."""
    return st.lists(_conditions(format_), min_size=2, max_size=8).map(
        lambda drawn: [
            dataclasses.replace(_TEMPLATE, id=f"r{place}", condition=each, log_source=format_.log_source)
            for place, each in enumerate(drawn)
        ]
    )


def _conditions(format_: Format) -> st.SearchStrategy[Condition]:
    known = vocabulary(format_)
    other = st.builds(FieldReference, _one_of(known.fields), st.booleans(), st.booleans(), st.booleans())
    asked = st.one_of(st.just(Null()), st.builds(Exists, st.booleans()), other, _one_of(_FIXED))
    test = st.one_of(_one_of(known.values).flatmap(_tests), _one_of(known.values).flatmap(_tests), asked)
    value_test = _one_of(known.values).filter(lambda value: value is not None).flatmap(_tests)
    leaf: st.SearchStrategy[Any] = st.one_of(
        st.builds(FieldMatch, _one_of(known.fields), test),
        st.builds(FieldMatch, _one_of(known.fields), test),
        st.builds(Keyword, value_test),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: And(tuple(parts))),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: Or(tuple(parts))),
            st.builds(Not, inner),
        ),
        max_leaves=6,
    )


def _tests(value: Scalar) -> st.SearchStrategy[Any]:
    """Tests that the value passes, or nearly."""
    if value is None:
        return st.just(Null())
    if isinstance(value, bool):
        return st.just(Boolean(value))
    if isinstance(value, int | float):
        orders = [Compare(order, value) for order in get_args(Order)]
        return _one_of([Number(value), Text((str(value),)), *orders])
    part = value[len(value) // 3 :] or "x"
    return _one_of(
        [
            Text((value,)),
            Text((value.upper(),)),
            Text((value,), cased=True),
            Text((Wild.MANY, part)),
            Text((Wild.MANY, part[: len(part) // 2 + 1], Wild.MANY)),
            Text((value[:3] or "x", Wild.MANY)),
            Regex("".join(c if c.isalnum() and c.isascii() else "." for c in part), "i"),
        ]
    )


@st.composite
def records(draw: st.DrawFn, format_: Format) -> bytes:
    """A golden record, now and then with a value in the place of another or cut."""
    known = vocabulary(format_)
    record = draw(_one_of(known.records))
    match draw(st.integers(0, 3)):
        case 0:
            record = _changed(draw, record, draw(_one_of(known.values)))
        case 1:
            record = record[: draw(st.integers(0, len(record)))]
    return record


def _changed(draw: st.DrawFn, record: bytes, value: Scalar) -> bytes:
    """The record with the value in the place of a member of JSON, or of a word of a line."""
    try:
        event = json.loads(record.decode("utf-8", "replace"))
    except ValueError:
        words = record.split()
        words[draw(st.integers(0, len(words) - 1))] = str(value).encode("utf-8", "replace")
        return b" ".join(words)
    if isinstance(event, dict) and event:
        event[draw(_one_of(sorted(event)))] = value
    return json.dumps(event).encode()
