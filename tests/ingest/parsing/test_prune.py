import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingest.parsing.prune import prune

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


def _says_nothing(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _holds_nothing_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(not _says_nothing(item) and _holds_nothing_empty(item) for item in value.values())
    if isinstance(value, list):
        return all(not _says_nothing(item) and _holds_nothing_empty(item) for item in value)
    return True


def test_nulls_and_empties_go_and_what_they_leave_empty_goes_too() -> None:
    assert prune({"a": None, "b": "", "c": {}, "d": [], "e": {"f": [None, {"g": ""}]}, "h": "x"}) == {"h": "x"}


def test_zero_and_false_stay() -> None:
    value = {"zero": 0, "float": 0.0, "no": False, "list": [0, False, 0.0]}
    assert prune(value) == value


def test_order_stays() -> None:
    assert list(prune({"z": 1, "y": None, "a": 2})) == ["z", "a"]


def test_integers_beyond_64_bits_become_text() -> None:
    value = {"most": 2**63 - 1, "more": 2**63, "least": -(2**63), "less": [-(2**63) - 1]}
    pruned = {"most": 2**63 - 1, "more": str(2**63), "least": -(2**63), "less": [str(-(2**63) - 1)]}
    assert prune(value) == pruned


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=5))
def test_nothing_empty_is_left_and_the_input_is_untouched(value: dict[str, Any]) -> None:
    before = copy.deepcopy(value)
    pruned = prune(value)
    assert value == before
    assert _holds_nothing_empty(pruned)
    assert prune(pruned) == pruned
