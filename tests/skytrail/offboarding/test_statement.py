"""A final statement says what is missing, and its record shows when it was changed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from ingest.schema.errors import ConfigError
from skytrail.offboarding.keeping import keep, kept, record_file, wrong_of
from skytrail.offboarding.retention_clock import kept as kept_until
from skytrail.offboarding.statement import Digests, Position, Statement, digest_of, missing_of, row_of
from skytrail.own_keys import own_keys
from skytrail.settings import Settings
from storage.retention.record import State
from storage.retention.verdict import InForce
from storage.verify.archive import examine
from storage.verify.findings import Kind, Summary
from storage.verify.ledger.pins import Pins
from storage.verify.places import Directory
from storage.verify.scope import Scope
from streams.handled import handled
from streams.status import SourceStatus
from tests.storage.archive.samples import START, Clock
from tests.storage.ledger.oracle import ledgers_tell_of_every_segment
from tests.storage.ledger.test_notary import chains_in, notary_in, sealed
from tests.storage.retention.samples import policy
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
        "kept": [],
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
        (missing_of([source()], {}, None, running=False, spooled=2), "2 bodies lie in its spool"),
        (missing_of([source(index=2)], {}, None, running=False), "residue 2 in the role index"),
        (
            missing_of([], {}, msgspec.structs.replace(CLEAN, verdict="tampered", findings=1), running=False),
            "is tampered: 1 findings",
        ),
    ],
    ids=["running", "lag", "spool", "residue", "digests"],
)
def test_what_is_missing_is_said(missing: object, told: str) -> None:
    (reason,) = missing  # type: ignore[misc]
    assert told in reason
    assert not statement(missing=[reason]).complete


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """Settings of a machine that has an archive with a ledger, and its keys."""
    clock = Clock()
    sealed(tmp_path, clock)
    notary_in(tmp_path, clock).record(chains_in(tmp_path))
    (tmp_path / "ledger").symlink_to(tmp_path / "keys")
    return settings(tmp_path)


def cited() -> Statement:
    position = Position(origin="skytrail/acme/1", size=5, root="", checkpoint="")
    return statement(namespace="acme", ledger=position)


def test_a_record_is_cited_by_an_entry_of_the_ledger_which_still_verifies(own: Settings) -> None:
    written = keep(own, cited(), Clock(START + dt.timedelta(hours=1)))
    assert kept(own.state_dir, "trail") == written
    assert written.entry is not None
    entries = ledgers_tell_of_every_segment(own.archive_dir)["acme"]
    assert entries[written.entry.index]["statement"] == written.sha256
    assert list(wrong_of(own, written)) == []
    place = Directory(own.archive_dir)
    found = list(examine(place, Scope(pins=Pins(keys=own_keys(own, place)), now=START), Summary()))
    assert [each for each in found if each.kind in (Kind.UNCHECKED, Kind.ALTERED)] == []


def test_a_changed_record_fits_neither_its_hash_nor_its_entry(own: Settings) -> None:
    record = keep(own, cited(), Clock(START + dt.timedelta(hours=1)))
    changed = msgspec.structs.replace(record.statement, sources=[row_of(source()) | {"received": 11}])
    hashed = msgspec.structs.replace(record, statement=changed)
    assert list(wrong_of(own, hashed)) == ["the statement is not the one that was hashed"]
    anew = msgspec.structs.replace(hashed, sha256=digest_of(changed))
    (wrong,) = wrong_of(own, anew)
    assert "does not cite it" in wrong


def test_the_last_events_are_kept_by_the_policy_in_force_counted_from_the_end() -> None:
    year = policy({"name": "all", "cold": "P1Y", "hot": "P30D"})
    state = State(policies=[InForce(NOW - dt.timedelta(days=400), year)])
    event = NOW - dt.timedelta(days=1)
    found = {each.tier: each for each in kept_until(state, "prod", [FORMAT, FORMAT], event, NOW)}
    assert {tier: (each.dataset, each.decision) for tier, each in found.items()} == {
        "hot": ("aws.cloudtrail", "KEEP"),
        "cold": ("aws.cloudtrail", "KEEP"),
    }
    assert str(found["cold"].until).startswith("2027-11-2")
    (unknown, _) = kept_until(State(), "prod", [FORMAT], None, NOW)
    assert (unknown.decision, unknown.until) == ("UNKNOWN", None)


def test_a_record_of_a_machine_without_keys_has_no_entry(tmp_path: Path) -> None:
    record = keep(settings(tmp_path), cited(), lambda: NOW)
    assert record.entry is None
    assert list(wrong_of(settings(tmp_path), record)) == []


def test_a_record_that_can_not_be_read_is_named_and_not_made_anew(tmp_path: Path) -> None:
    keep(settings(tmp_path), statement(), lambda: NOW)
    record_file(tmp_path, "trail").write_text("{}")
    with pytest.raises(ConfigError, match=r"trail\.json.*never made anew"):
        kept(tmp_path, "trail")
