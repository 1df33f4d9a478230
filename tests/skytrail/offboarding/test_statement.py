"""A final statement says what is missing, and its record shows when it was changed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from ingest.schema.errors import ConfigError
from skytrail.offboarding.keeping import keep, kept, ledger_keys, record_file
from skytrail.offboarding.statement import Digests, Statement, faults, missing_of, row_of
from skytrail.settings import Settings
from storage.ledger.keyring import KeyRing
from streams.handled import handled
from streams.status import SourceStatus
from tests.streams.test_status import ENDS, FORMAT, RAW, account, settled

NOW = dt.datetime(2026, 11, 27, 10, tzinfo=dt.UTC)
CLEAN = Digests(place="s3://trail", verdict="clean", digests=3, log_files=9, findings=0)


def source(**residue: int) -> SourceStatus:
    counts = (10, 8, 1, 1, 0, 10, 9)
    return SourceStatus("prod", FORMAT, "trail", *counts, {"index": 0, "seal": 0, "detect": 0} | residue)


def statement(**changes: object) -> Statement:
    values: dict[str, object] = {
        "collector": "trail",
        "transport": "s3_sqs",
        "format": FORMAT,
        "namespace": "prod",
        "closed_at": NOW.isoformat(),
        "stated_at": NOW.isoformat(),
        "sources": [row_of(source())],
        "lag": {"index": 0},
        "last_seen_at": None,
        "last_event": None,
        "ledger": None,
        "digests": CLEAN,
        "retention_from": NOW.isoformat(),
        "missing": [],
        "notes": [],
    }
    return Statement(**(values | changes))  # type: ignore[arg-type]


def settings(directory: Path) -> Settings:
    return Settings.model_construct(state_dir=directory).model_copy()


def test_a_collector_is_done_when_the_roles_are_behind_the_ends_at_which_it_stopped() -> None:
    found = handled(settled(), ENDS, [FORMAT], "trail")
    assert found.done
    assert [each.received for each in found.sources] == [102]
    assert not handled(settled(), ENDS | {(RAW, 0): 11}, [FORMAT], "trail").done  # one message more lay there
    assert handled(settled(), ENDS | {(RAW, 0): 9}, [FORMAT], "trail").done  # others went on


def test_only_its_own_records_count_and_those_of_its_senders() -> None:
    accounts = settled()
    other = account("seal", received=7, sealed=7)
    other.sources = {
        f"prod|{FORMAT}|trail-2": {"received": 1, "sealed": 1},
        f"prod|{FORMAT}|trail/cluster": {"received": 2, "sealed": 2},
    }
    found = handled([*accounts, other], ENDS, [FORMAT], "trail")
    assert [each.collector for each in found.sources] == ["trail", "trail/cluster"]
    assert not found.done  # no other role has seen the cluster's


def test_nothing_is_missing_when_all_is_counted_and_the_digests_are_clean() -> None:
    assert list(missing_of([source()], {"index": 0, "seal": 0}, CLEAN, running=False)) == []


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (missing_of([source()], {}, None, running=True), "still runs"),
        (missing_of([source()], {"seal": 3}, None, running=False), "seal has 3 messages"),
        (missing_of([source(index=2)], {}, None, running=False), "residue 2 in the role index"),
        (
            missing_of([], {}, msgspec.structs.replace(CLEAN, verdict="tampered", findings=1), running=False),
            "is tampered: 1 findings",
        ),
    ],
    ids=["running", "lag", "residue", "digests"],
)
def test_what_is_missing_is_said(missing: object, told: str) -> None:
    (reason,) = missing  # type: ignore[misc]
    assert told in reason
    assert not statement(missing=[reason]).complete


def test_a_record_is_signed_with_the_key_of_the_ledger_and_read_back_whole(tmp_path: Path) -> None:
    own = settings(tmp_path)
    own.keys_file.parent.mkdir()
    KeyRing(own.keys_file).add_first(NOW, days=30)
    written = keep(own, statement(), NOW)
    read = kept(tmp_path, "trail")
    assert read == written
    assert len(written.signatures) == 1
    assert list(faults(written, ledger_keys(own, "prod"))) == []
    (unknown,) = faults(written, ledger_keys(own, "other"))
    assert "does not have" in unknown


def test_a_record_of_a_machine_without_keys_is_hashed_and_not_signed(tmp_path: Path) -> None:
    record = keep(settings(tmp_path), statement(), NOW)
    assert record.signatures == []
    assert list(faults(record, ledger_keys(settings(tmp_path), "prod"))) == []


def test_a_changed_statement_fits_neither_hash_nor_signature(tmp_path: Path) -> None:
    own = settings(tmp_path)
    own.keys_file.parent.mkdir()
    KeyRing(own.keys_file).add_first(NOW, days=30)
    record = keep(own, statement(), NOW)
    changed = msgspec.structs.replace(record.statement, sources=[row_of(source()) | {"received": 11}])
    found = list(faults(msgspec.structs.replace(record, statement=changed), ledger_keys(own, "prod")))
    assert found == ["the statement is not the one that was hashed", "a signature does not fit the statement"]


def test_a_record_that_can_not_be_read_is_named_and_not_made_anew(tmp_path: Path) -> None:
    keep(settings(tmp_path), statement(), NOW)
    record_file(tmp_path, "trail").write_text("{}")
    with pytest.raises(ConfigError, match=r"trail\.json.*never made anew"):
        kept(tmp_path, "trail")
