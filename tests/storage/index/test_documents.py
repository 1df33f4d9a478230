"""Any document can be written, and one that the server refused is made to fit its mapping."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.fields import Field
from storage.index.documents import fit, mender, serialise
from storage.index.mapping import tree

FIELDS = tree(
    [
        Field("user.name", "name", "x"),
        Field("source.ip", "ip", "x"),
        Field("source.geo.location", "geo_point", "x"),
        Field("event.original", "raw", "x"),
        Field("vendor.flat", "flattened", "x"),
        Field("vendor.open", "object", "x"),
        Field("error.message", "text", "x"),
    ]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (2**63, 2**63),
        (2**64, str(2**64)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        ("a\ud800b", "a���b"),
        (float("inf"), None),
        ([2**70, "\udfff"], [str(2**70), "���"]),
        ({"\ud800": 1}, {"���": 1}),
    ],
)
def test_values_that_json_writers_refuse_are_changed_within_bounds(value, written) -> None:
    assert json.loads(serialise({"a": value, "b": 2**80})) == {"a": written, "b": str(2**80)}


def test_a_number_of_a_million_digits_stays_bounded() -> None:
    assert len(serialise({"n": 10**1_000_000})) < 2000


def test_deep_nesting_ends_in_a_remark() -> None:
    value: object = 1
    for _ in range(5000):
        value = [value]
    written = serialise({"a": value, "b": 1})
    assert b"nested deeper than 100 levels" in written
    assert json.loads(written)["b"] == 1


@given(st.dictionaries(st.text(st.characters()), json_values))
def test_any_document_becomes_one_line_of_json(document) -> None:
    written = serialise(document)
    assert b"\n" not in written
    assert isinstance(json.loads(written), dict)


def test_a_document_that_fits_stays_as_it_is() -> None:
    document = {"user": {"name": ["a", "b"]}, "vendor": {"flat": {"a": {"b": 1}}, "unknown": {"x.": 1}}, "n": 1}
    assert fit(document, FIELDS) == document


@pytest.mark.parametrize(
    ("document", "fitted"),
    [
        ({"user": {"name": {"a": 1}}}, {"user": {"name": '{"a":1}'}}),
        ({"user": {"name": ["x", {"a": 1}]}}, {"user": {"name": ["x", '{"a":1}']}}),
        ({"user": "alice"}, {"user": {"value": "alice"}}),
        ({"user": ["alice", {"name": "bob"}]}, {"user": [{"value": "alice"}, {"name": "bob"}]}),
        ({"source": {"ip": {"x": 1}}}, {"source": {"ip": '{"x":1}'}}),
        ({"vendor": {"flat": "text"}}, {"vendor": {"flat": {"value": "text"}}}),
        ({"vendor": {"flat": {"a\x00b": 1}}}, {"vendor": {"flat": {"a\ufffdb": 1}}}),
        ({"user": {".": 1, "a..b": 2, "": 3, "x.y": 4}}, {"user": {"_": 3, "a__b": 2, "x_y": 4}}),
        ({"vendor": {"open": 7}}, {"vendor": {"open": {"value": 7}}}),
    ],
)
def test_what_stands_in_a_wrong_place_is_kept_in_another_shape(document, fitted) -> None:
    assert fit(document, FIELDS) == fitted


def test_flattened_trees_keep_within_depth_and_term_length() -> None:
    deep: object = "end"
    for _ in range(50):
        deep = {"k": deep}
    wild = {"deep": deep, "long": "\U0001f600" * 9000, "list": [{"k": "x" * 40000}], "n" * 40000: 1}
    flat = fit({"vendor": {"flat": wild}}, FIELDS)["vendor"]["flat"]
    levels, node = 0, flat["deep"]
    while isinstance(node, dict):
        levels, node = levels + 1, node["k"]
    assert levels <= 18
    assert '"end"' in node
    assert len(flat["long"]) == 1001
    assert flat["n" * 250 + "…"] == 1
    assert len(flat["list"][0]["k"]) == 1001


@given(st.dictionaries(st.sampled_from(["user", "source", "vendor", "event", "x.y"]), json_values))
def test_fitting_never_fails_and_is_done_once(document) -> None:
    once = fit(document, FIELDS)
    assert serialise(fit(once, FIELDS)) == serialise(once)


def test_a_mended_document_says_why_it_was_changed() -> None:
    mend = mender({"aws.cloudtrail": FIELDS})
    body = serialise({"data_stream": {"dataset": "aws.cloudtrail"}, "user": {"name": {"a": 1}}, "error": {"code": "E"}})
    mended = mend(body, "failed to parse field [user.name]")
    assert mended is not None
    assert json.loads(mended)["user"]["name"] == '{"a":1}'
    assert json.loads(mended)["error"] == {
        "code": "E",
        "message": ["changed to fit the index: failed to parse field [user.name]"],
    }


@pytest.mark.parametrize("document", [{"user": {"name": "a"}, "data_stream": {"dataset": "aws.cloudtrail"}}, {"a": 1}])
def test_a_document_that_fits_or_is_of_an_unknown_data_set_is_not_mended(document) -> None:
    assert mender({"aws.cloudtrail": FIELDS})(serialise(document), "x") is None
