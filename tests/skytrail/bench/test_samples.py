"""Generated records to measure with."""

import datetime as dt

import orjson
import pytest

from ingest.formats.registry import format_named
from ingest.schema.errors import ConfigError, RejectedRecord
from skytrail.bench.samples import FORMATS, HARD, LARGE_BYTES, everyday, hard

END = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_seed_gives_the_same_records_and_another_seed_other_ids(name: str) -> None:
    one, again, other = (everyday(name, 300, seed=seed, end=END) for seed in (1, 1, 2))
    format_ = format_named(name)
    assert one == again
    assert len(set(one)) == 300
    assert not {format_.identify(record) for record in one} & {format_.identify(record) for record in other}


@pytest.mark.parametrize("name", FORMATS)
def test_every_everyday_record_becomes_a_document(name: str) -> None:
    documents = [format_named(name).normalise(record) for record in everyday(name, 200, seed=1, end=END)]
    assert all(document["@timestamp"].startswith("2026-11-2") for document in documents)


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("name", FORMATS)
def test_hard_records_are_hard_and_still_become_documents(name: str, kind: str) -> None:
    records = hard(kind, name, everyday(name, 60, seed=1, end=END))
    format_ = format_named(name)
    refused = 0
    for record in records:
        try:
            format_.normalise(record)
        except RejectedRecord:
            refused += 1
    assert refused == 0
    if kind == "100 KB bodies":
        assert min(map(len, records)) > LARGE_BYTES * 0.9
    if kind == "unique values":
        assert len({orjson.loads(record)["userAgent"] for record in records}) == len(records)
    if kind == "odd types":
        assert any(b"123456789012345678901234567890" in record for record in records)


def test_a_format_without_generator_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"there is no generator for gcp\.audit"):
        everyday("gcp.audit", 1, seed=1, end=END)
