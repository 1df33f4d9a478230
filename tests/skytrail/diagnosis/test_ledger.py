from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from skytrail.data_keys import data_keys
from skytrail.diagnosis.ledger import ledger_checks
from skytrail.settings import Settings
from storage.ledger.keyring import KeyRing
from storage.settings import LedgerSettings
from tests.storage.archive.samples import Clock
from tests.storage.ledger.authority import Authority
from tests.storage.ledger.test_notary import chains_in, notary_in, sealed
from tests.storage.ledger.test_witness import WITNESS_KEY

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def settings(root: Path, **ledger: Any) -> Settings:
    made = Settings.model_construct(state_dir=root, ledger=LedgerSettings(**ledger))
    return made.model_copy()


def keys(root: Path, now: dt.datetime = NOW) -> tuple[str, str]:
    check = next(iter(ledger_checks(settings(root), now)))
    return check.state, f"{check.found}; {check.mend}"


def anchors(root: Path, **ledger: Any) -> tuple[str, str]:
    *_, check = ledger_checks(settings(root, **ledger), NOW)
    return check.state, f"{check.found}; {check.mend}"


def test_no_keys_and_no_ledger_is_how_it_begins(tmp_path: Path) -> None:
    assert keys(tmp_path)[0] == "skipped"


def test_keys_are_right_until_they_are_about_to_end(tmp_path: Path) -> None:
    KeyRing(tmp_path / "ledger" / "keys.json").add_first(NOW, days=100)
    assert keys(tmp_path)[0] == "ok"
    state, told = keys(tmp_path, NOW + dt.timedelta(days=71))
    assert (state, "keys rotate" in told) == ("warn", True)
    assert keys(tmp_path, NOW + dt.timedelta(days=101))[0] == "fail"


def test_a_private_key_that_others_can_read_is_a_fail(tmp_path: Path) -> None:
    KeyRing(tmp_path / "ledger" / "keys.json").add_first(NOW, days=100)
    next((tmp_path / "ledger").glob("*.ed25519.pem")).chmod(0o644)
    state, told = keys(tmp_path)
    assert (state, "others may read it" in told) == ("fail", True)


def test_a_ledger_whose_keys_are_gone_is_a_fail(tmp_path: Path) -> None:
    clock = Clock()
    sealed(tmp_path, clock)
    notary_in(tmp_path, clock).record(chains_in(tmp_path))
    assert keys(tmp_path)[0] == "fail"


def test_nobody_who_vouches_for_it_is_a_warning(tmp_path: Path) -> None:
    assert anchors(tmp_path)[0] == "warn"
    (tmp_path / "ca.pem").write_bytes(Authority().root_pem)
    ledger: dict[str, Any] = {
        "witnesses": {"w1": {"url": "http://w", "vkey": str(WITNESS_KEY.key)}},
        "authorities": {"tsa": {"url": "http://t", "ca_file": tmp_path / "ca.pem"}},
    }
    assert anchors(tmp_path, **ledger)[0] == "warn"
    assert anchors(tmp_path, **ledger, quorum=1) == ("ok", "1 witnesses, quorum 1; 1 authorities; ")


@pytest.mark.parametrize("quorum", [1, 5])
def test_a_quorum_that_can_not_be_reached_is_a_fail(tmp_path: Path, quorum: int) -> None:
    state, told = anchors(tmp_path, quorum=quorum)
    assert (state, "can't be reached" in told) == ("fail", True)


def data_key_check(root: Path, **encryption: str) -> tuple[str, str]:
    configured = Settings(state_dir=root, archive={"encryption": encryption})  # type: ignore[arg-type]
    _, check, _ = ledger_checks(configured, NOW)
    return check.state, check.found


def test_an_archive_in_the_clear_is_a_warning_and_a_lost_wrapping_key_a_fail(tmp_path: Path) -> None:
    assert data_key_check(tmp_path)[0] == "warn"
    assert data_key_check(tmp_path, provider="file")[0] == "ok"
    made = data_keys(Settings(state_dir=tmp_path, archive={"encryption": {"provider": "file"}}))  # type: ignore[arg-type]
    assert made is not None
    made.for_sealing("acme", "2026-03")
    assert "1 data keys" in data_key_check(tmp_path, provider="file")[1]
    for path in (tmp_path / "datakeys" / "keks").iterdir():
        path.unlink()
    assert data_key_check(tmp_path, provider="file")[0] == "fail"
