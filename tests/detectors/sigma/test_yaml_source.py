from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma.yaml_source import read_documents
from ingest.schema.errors import ConfigError


def _bomb(first: str, template: str) -> str:
    """Nine times nine times … of an alias, eight levels deep."""
    levels = [f"a{i}: &a{i} " + template % ", ".join([f"*a{i - 1}"] * 9) for i in range(1, 9)]
    return "\n".join([f"a0: &a0 {first}", *levels])


BOMB = _bomb("[x]", "[%s]")
MERGE_BOMB = _bomb("{x: 1}", "{<<: [%s]}")

REFUSED: list[tuple[str, str, str]] = [
    ("a syntax error", "a: [1", "line"),
    ("a bomb of aliases", BOMB, "aliases"),
    ("a bomb of merges", MERGE_BOMB, "aliases"),
    ("an alias inside its anchor", "a: &a [*a]", "inside its own anchor"),
    ("a key twice", "a: 1\na: 2", "stands twice"),
    ("a deep nest", "[" * 500 + "]" * 500, "nested deeper"),
    ("a large file", "# " + "x" * 1_100_000, "bytes"),
    ("an object of Python", "!!python/object/apply:os.system [id]", "constructor"),
    ("an unknown anchor", "a: *nothing", "undefined alias"),
    ("a key that is a map", "? {a: 1}\n: 2", "a list or map as key"),
    ("a key that is a number", "a:\n  443: open", "the key 443 is no text, write it in quotes"),
    ("a key that is a boolean", "true: 1", "the key true is no text"),
    ("a key that is nothing", "~: 1", "is no text"),
]


@pytest.mark.parametrize(("text", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_hostile_or_broken_yaml_is_refused_at_once(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read_documents(text, where="rule.yml")
    assert refusal.value.where == "rule.yml"
    assert why in refusal.value.what


SCALARS: list[tuple[str, Any]] = [
    ("No", "No"),
    ("on", "on"),
    ("true", True),
    ("2026-03-02T11:20:05Z", "2026-03-02T11:20:05Z"),
    ("2026-03-02", "2026-03-02"),
    ("12:30:45", "12:30:45"),
    ("012345670123", "012345670123"),
    ("0", 0),
    ("-7", -7),
    ("1.5", 1.5),
    ("1e3", "1e3"),
    ("~", None),
    ("", None),
    ("9" * 5000, "9" * 5000),
]


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text[:20] or "empty" for text, _ in SCALARS])
def test_scalars_keep_what_the_author_wrote(text: str, value: Any) -> None:
    assert read_documents(f"a: {text}", where="rule.yml") == [{"a": value}]


def test_aliases_and_merges_within_bounds_work() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a"
    assert read_documents(text, where="r") == [{"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}}]


def test_several_documents_are_read_and_empty_ones_left_out() -> None:
    assert read_documents("a: 1\n---\n---\nb: 2\n", where="r") == [{"a": 1}, {"b": 2}]


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read_documents(text, where="r")
    except ConfigError:
        return
    assert isinstance(found, list)
