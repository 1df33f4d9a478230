"""The generated records go through the real formats as the expected counts say."""

from __future__ import annotations

import collections

import pytest

from ingest.formats.registry import format_named
from ingest.schema.errors import RejectedRecord
from skytrail.demo.delivery import AUDIT, CLOUDTRAIL
from tests.skytrail.demo.days import body_of, the_day


@pytest.mark.parametrize(("name", "refused"), [(CLOUDTRAIL, 5), (AUDIT, 0)])
def test_every_record_normalises_except_the_broken_ones(name: str, refused: int) -> None:
    format_ = format_named(name)
    outcomes: collections.Counter[str] = collections.Counter()
    times = set()
    for file in the_day().of_format(name):
        body = body_of(file.name, file.body)
        assert format_.recognise(body)
        for record in format_.split(body):
            try:
                times.add(format_.normalise(record)["@timestamp"][:10])
            except RejectedRecord:
                outcomes["refused"] += 1
            else:
                outcomes["fine"] += 1
    assert outcomes["refused"] == refused
    assert outcomes["fine"] > 6000
    assert times == {"2026-11-21", "2026-11-22"}


def test_ids_of_the_formats_tell_the_unique_records_apart() -> None:
    seen = set()
    received = 0
    for name in (CLOUDTRAIL, AUDIT):
        format_ = format_named(name)
        for file in the_day().of_format(name):
            for record in format_.split(body_of(file.name, file.body)):
                received += 1
                try:
                    format_.normalise(record)
                except RejectedRecord:
                    continue
                seen.add((name, format_.identify(record)))
    assert received == the_day().expected.received
    assert len(seen) == the_day().expected.unique
