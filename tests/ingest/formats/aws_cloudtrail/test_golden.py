"""Every golden pair: the document is the expected one, and one that the index takes."""

import json
from typing import Any

import pytest

from ingest.formats.aws_cloudtrail.format import FORMAT
from ingest.schema.fields import paths
from tests.ingest.formats.aws_cloudtrail.conformity import REGISTRY, cases, expected, faults, raw

# ECS: event types expected of each category that this format writes.
TYPES = {
    "api": {"access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info", "start", "user"},
    "authentication": {"start", "end", "info"},
    "file": {"access", "change", "creation", "deletion", "info"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
}


def test_there_is_a_pair_for_every_family_and_trap() -> None:
    assert len(cases()) >= 40


@pytest.mark.parametrize("case", cases())
def test_the_document_is_the_expected_one(case: str) -> None:
    assert FORMAT.normalise(raw(case)) == expected(case)


@pytest.mark.parametrize("case", cases())
def test_the_document_fits_the_index(case: str) -> None:
    document = FORMAT.normalise(raw(case))
    assert faults(document) == []
    assert [path for path in paths(document) if not REGISTRY.allows(path)] == []


@pytest.mark.parametrize("case", cases())
def test_category_and_type_are_pairs_that_ecs_expects(case: str) -> None:
    event = FORMAT.normalise(raw(case))["event"]
    (category,) = event["category"]
    # `denied` is ours on every category: who was refused what must be found with one query
    assert set(event["type"]) - {"denied"} <= TYPES[category]


@pytest.mark.parametrize("case", cases())
def test_a_document_shares_nothing_with_a_later_one(case: str) -> None:
    first = FORMAT.normalise(raw(case))
    _spoil(first)
    assert FORMAT.normalise(raw(case)) == expected(case)


@pytest.mark.parametrize("case", cases())
def test_the_record_is_recognised_alone_and_in_a_log_file(case: str) -> None:
    assert FORMAT.recognise(raw(case))
    assert FORMAT.recognise(b'{"Records":[' + raw(case) + b"]}")


@pytest.mark.parametrize("case", cases())
def test_no_vendor_name_is_written_outside_the_bodies(case: str) -> None:
    text = json.dumps({**expected(case), "aws": {}})
    assert "requestParameters" not in text
    assert "userIdentity" not in text


def _spoil(value: Any) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _spoil(item)
        value["spoilt"] = True
    elif isinstance(value, list):
        value.append("spoilt")
