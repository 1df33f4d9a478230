"""The measurement itself, and that no public case is refused without a reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.measure.normalised import BATCHES, SETS, Row, has_time, main, measure, table

ROOT = Path(__file__).parents[2]
SHARED = ROOT / ".." / "shared" / "data"
EVENT = {"eventName": "GetObject", "eventSource": "s3.amazonaws.com", "eventTime": "2026-03-02T11:20:05Z"}
AUDIT = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a", "stage": "ResponseComplete", "verb": "get"}


def row_of(source: str, *events: Any) -> Row:
    row = Row(source, "set")
    for number, event in enumerate(events):
        row.take(f"case {number}", json.dumps(event).encode())
    return row


def test_a_record_is_normalised_or_moved_or_without_time_or_an_unjustified_refusal() -> None:
    timed = {**AUDIT, "stageTimestamp": "2026-03-02T11:20:05Z"}
    row = row_of(
        "aws.cloudtrail",
        EVENT,
        timed,
        {**EVENT, "eventTime": None},
        {"what": "nobody knows"},
        {"what": "nobody knows", "at": "2026-03-02"},
    )
    assert (row.records, row.normalised, row.elsewhere, row.timeless) == (5, 1, {"kubernetes.audit": 1}, 2)
    assert [each.partition(":")[0] for each in row.unjustified] == ["case 4"]
    assert (row.told, row.untold, row.wrong, len(row.refusals)) == (3, 2, 0, 3)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": [{"b": "2026-03-02T11:20:05Z"}]}, True),
        ({"properties": '{"log": "{\\"at\\": \\"2026-03-02\\"}"}'}, True),
        ({"timestamp": 1795338264000}, True),
        ({"end": 1795338264}, True),
        ({"end": "1795338264"}, True),
        ({"Date": "03/02/2026 11:20"}, True),
        ({"accountId": "111122223333", "port": 8443, "on": True, "none": None, "text": "{not json"}, False),
    ],
)
def test_a_time_is_found_wherever_it_stands(value: Any, *, found: bool) -> None:
    assert has_time(value) is found


def test_the_command_ends_with_1_for_an_unjustified_refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = {"id": "odd", "source": "aws.cloudtrail", "event": {"at": "2026-03-02"}}
    for name in SETS:
        path = tmp_path / f"{name}.jsonl.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(json.dumps(case).encode() if name == SETS[0] else b""))
    batches = tmp_path / f"{BATCHES}.ndjson.gz"
    batches.parent.mkdir()
    batches.write_bytes(gzip.compress(b""))
    assert main([str(tmp_path), "-o", "json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)[0]["records"] == 1
    assert "odd" in told.err


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data sets are not beside this repository")
def test_no_public_case_is_refused_without_a_reason_and_the_page_has_the_table() -> None:
    rows = measure(SHARED)
    assert [each for row in rows for each in row.unjustified] == []
    assert sum(row.wrong for row in rows) == 0
    assert table(rows) in (ROOT / "docs" / "sources.md").read_text("utf-8")
