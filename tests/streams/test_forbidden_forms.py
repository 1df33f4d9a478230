"""Refuses the forms of Faust that lose data or stall; docs/adr/0002-faust-pattern.md says why each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

STREAMS = Path(__file__).parents[2] / "streams"
LOSING = {"take", "take_events", "take_with_timestamp"}
WINDOWED = {"tumbling", "hopping", "relative_to_field", "relative_to_stream", "group_by"}


def forbidden(source: str) -> Iterator[str]:
    """What is wrong with a module, one phrase each."""
    tree = ast.parse(source)
    if "exactly_once" in source:
        yield "exactly_once"
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name, on = node.func.attr, node.func.value
        if name in LOSING | WINDOWED:
            yield f".{name}()"
        if name == "noack_take":
            chained = isinstance(on, ast.Call) and isinstance(on.func, ast.Attribute) and on.func.attr == "noack"
            if not chained:
                yield "bare noack_take()"
            elif not any(keyword.arg == "within" for keyword in node.keywords):
                yield "noack_take() without a time"


@pytest.mark.parametrize("path", sorted(STREAMS.rglob("*.py")), ids=lambda path: path.stem)
def test_no_module_uses_a_form_that_loses_data(path: Path) -> None:
    assert list(forbidden(path.read_text("utf-8"))) == []


def test_the_one_safe_form_is_used() -> None:
    uses = [path for path in STREAMS.rglob("*.py") if ".noack().noack_take(" in path.read_text("utf-8")]
    assert len(uses) >= 1
    assert all("CrashingSupervisor" in path.read_text("utf-8") for path in uses)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("async def a(s):\n async for x in s.take(10, within=1): pass", ".take()"),
        ("async def a(s):\n async for x in s.noack_take(10, within=1): pass", "bare noack_take()"),
        ("async def a(s):\n async for x in s.noack().noack_take(10): pass", "noack_take() without a time"),
        ("app = faust.App('x', processing_guarantee='exactly_once')", "exactly_once"),
        ("table = app.Table('x').tumbling(10)", ".tumbling()"),
        ("table = app.Table('x').hopping(10, 5)", ".hopping()"),
        ("stream = s.group_by(Order.id)", ".group_by()"),
    ],
)
def test_the_check_finds_each_form(source: str, found: str) -> None:
    assert list(forbidden(source)) == [found]
