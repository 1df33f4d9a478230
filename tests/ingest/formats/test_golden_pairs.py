"""Every golden pair of every format: expected documents, which the index takes, recognised by their format alone."""

import pytest

from ingest.formats.registry import all_formats
from ingest.schema.fields import paths
from tests.ingest.formats.conformity import TYPES, Golden

GOLDEN = {name: Golden(format_) for name, format_ in all_formats().items()}
CASES = [(name, case) for name, golden in GOLDEN.items() for case in golden.cases()]
every_case = pytest.mark.parametrize(("name", "case"), CASES)


@pytest.mark.parametrize("name", GOLDEN)
def test_every_format_has_ten_pairs(name: str) -> None:
    assert len(GOLDEN[name].cases()) >= 10


@every_case
def test_the_documents_are_the_expected_ones(name: str, case: str) -> None:
    golden = GOLDEN[name]
    reader = golden.reader(case)
    assert [reader.normalise(record) for record in golden.records(case)] == golden.all_expected(case)


@every_case
def test_the_documents_fit_the_index(name: str, case: str) -> None:
    golden = GOLDEN[name]
    for document in golden.all_expected(case):
        document["event"] = {"module": name.partition(".")[0], "dataset": golden.format.dataset, **document["event"]}
        assert golden.faults(document) == []
        assert [path for path in paths(document) if not golden.registry.allows(path)] == []


@every_case
def test_category_and_type_are_pairs_that_ecs_expects(name: str, case: str) -> None:
    for document in GOLDEN[name].all_expected(case):
        allowed = set.union(*(TYPES[category] for category in document["event"]["category"]))
        # `denied` is ours on every category: who was refused what must be found with one query
        assert set(document["event"]["type"]) - {"denied"} <= allowed


@every_case
def test_a_body_is_recognised_by_its_format_alone(name: str, case: str) -> None:
    body = GOLDEN[name].body(case)
    assert [known for known, format_ in all_formats().items() if format_.recognise(body)] in ([name], [])


@every_case
def test_a_record_is_recognised_by_its_format_alone(name: str, case: str) -> None:
    for record in GOLDEN[name].records(case):
        assert [known for known, format_ in all_formats().items() if format_.recognise(record)] in ([name], [])
