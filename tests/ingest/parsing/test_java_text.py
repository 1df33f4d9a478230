from typing import Any

import pytest

from ingest.parsing.java_text import java_text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        (5, "5"),
        (0, "0"),
        (310.0, "310.0"),
        ([], "[]"),
        ({}, "{}"),
        ({"a": 1, "b": ["x", True, None]}, "{a=1, b=[x, true, null]}"),
        ({"b": 1, "a": 2}, "{b=1, a=2}"),
        ({"": {"x y": [[1], {"c": "d"}]}}, "{={x y=[[1], {c=d}]}}"),
        ({"Effect": "Allow", "Principal": "*"}, "{Effect=Allow, Principal=*}"),
    ],
)
def test_a_value_reads_as_javas_map_to_string_prints_it(value: Any, expected: str) -> None:
    assert java_text(value) == expected
