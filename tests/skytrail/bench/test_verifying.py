"""The archive that is measured is a real one, every event of it is verified, and its parts are told apart."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest

from ingest.schema.errors import EngineError
from skytrail.bench import sealing, verifying


def silent(_label: str, _done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def sealed(home: Path) -> verifying.Sealed:
    return verifying.seal(home, 1200, silent)


def test_all_events_are_verified_with_any_number_of_processes(sealed: verifying.Sealed) -> None:
    found = list(verifying.verify(sealed, [1, 2], 1, silent))
    assert [(each.processes, each.events) for each in found] == [(1, 1200), (2, 1200)]
    assert all(each.events_per_s == pytest.approx(1200 / each.seconds, rel=0.05) for each in found)


def test_an_archive_that_is_not_clean_is_no_measurement(sealed: verifying.Sealed) -> None:
    with pytest.raises(EngineError, match="1200 records"):
        list(verifying.verify(dataclasses.replace(sealed, events=1201), [1], 1, silent))


def test_proofs_are_made_and_checked_with_and_without_the_record(sealed: verifying.Sealed) -> None:
    found = list(verifying.prove(sealed, 10, silent))
    assert [each.step for each in found] == [
        f"{step}, {which} the record" for which in ("with", "without") for step in ("make", "check")
    ]
    assert all(0 < each.median_ms <= each.worst_of_100_ms for each in found)
    assert found[2].bytes < found[0].bytes
    assert found[2].bytes < 6 * 1024


def test_what_is_stored_is_told_by_what_it_is(home: Path, sealed: verifying.Sealed) -> None:
    sizes, segments = sealing.stored_bytes(sealed.place.root)
    assert segments == 3
    assert set(sizes) == {"body", "leaves", "headers", "manifests", "ledger", "hints"}
    assert sizes["leaves"] == 32 * 1200
    files = [path for path in (home / "archive").rglob("*") if path.is_file() and ".staging" not in path.parts]
    assert sum(sizes.values()) == sum(path.stat().st_size for path in files)


def test_records_are_sent_again_when_more_are_asked_for_than_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "DIFFERENT", 100)
    envelopes, size = sealing.material(250, dt.datetime.now(dt.UTC))
    records = [record for envelope in envelopes for record in envelope.records]
    assert (len(records), len(set(records)), records[:50]) == (250, 100, records[200:])
    assert size == sum(map(len, records)) // 250


def test_a_result_is_one_row() -> None:
    result = sealing.Result(10, 1400, 50_000, 9_000, {"role": 20.0, "kafka": 7.8}, {"body": 104.6}, 35.0, 2500)
    (row,) = sealing.rows([result])
    assert (row["role_cpu_us"], row["kafka_cpu_us"], row["overhead_bytes"]) == (20.0, 7.8, 35.0)
