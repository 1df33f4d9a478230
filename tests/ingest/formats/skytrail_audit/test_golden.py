"""Every golden pair: the document is the expected one, and one that the index takes."""

import pytest

from ingest.formats.skytrail_audit.format import FORMAT
from ingest.schema.action import Action, encode
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.conformity import TYPES, Golden, get

GOLDEN = Golden(FORMAT)


@pytest.mark.parametrize("case", GOLDEN.cases())
def test_the_document_is_the_expected_one_and_fits_the_index(case: str) -> None:
    document = FORMAT.normalise(GOLDEN.record(case))
    assert document == GOLDEN.expected(case)
    assert GOLDEN.faults(document) == []


@pytest.mark.parametrize("case", GOLDEN.cases())
def test_category_and_type_are_pairs_that_ecs_expects(case: str) -> None:
    event = GOLDEN.expected(case)["event"]
    assert set(event["type"]) <= set.union(*(TYPES[category] for category in event["category"]))


def test_every_kind_and_outcome_is_among_the_pairs() -> None:
    told = [GOLDEN.expected(case) for case in GOLDEN.cases()]
    assert {get(one, "skytrail.audit.kind") for one in told} >= {"access", "change", "deletion"}
    assert {get(one, "event.outcome") for one in told} == {"success", "failure", "unknown"}


@pytest.mark.parametrize("record", [b"{}", b"[]", b'{"skytrailAction":1}', b'{"skytrailAction":1,"at":"soon"}'])
def test_what_is_no_action_or_has_no_time_is_refused(record: bytes) -> None:
    with pytest.raises(MalformedRecord):
        FORMAT.normalise(record)


def test_the_same_action_is_the_same_bytes() -> None:
    record = GOLDEN.record("search")
    assert b'"details":{"limit":100,"purpose":"case 812","query"' in record
    assert encode.__module__ == Action.__module__
