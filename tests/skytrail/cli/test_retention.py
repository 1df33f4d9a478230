"""`skytrail retention`: regimes, soundness of a policy, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from ingest.schema.errors import ConfigError
from skytrail.cli.main import build
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary, told_settings
from storage.settings import ArchiveSettings, LedgerSettings
from storage.verify.archive import check
from tests.storage.archive.samples import START, TOPIC, Clock
from tests.storage.ledger.test_notary import NAMESPACES, chains_in, sealed, store_in

RUNNER = CliRunner()
POLICY = """
version = 1
name = "acme"

[[class]]
name = "cards"
datasets = ["aws.*"]
regimes = ["pci-dss"]
hot = "P6M"

[[class]]
name = "rest"
cold = "P1Y"
"""


def run(*arguments: str) -> Result:
    return RUNNER.invoke(build("retention"), ["retention", *arguments], catch_exceptions=False)


def test_regimes_are_listed_with_clause_source_and_dates() -> None:
    rows = {row["id"]: row for row in json.loads(run("regimes", "-o", "json").stdout)}
    assert rows["pci-dss-4.0.1-10.5.1"]["minimum_hot"] == "P3M"
    assert rows["omb-m-21-31"]["valid_to"] == "2026-05-22"
    assert rows["omb-m-21-31"]["superseded_by"] == "omb-m-26-14"
    assert all(row["clause"] and row["source_url"] for row in rows.values())
    current = {row["id"] for row in json.loads(run("regimes", "--current", "-o", "json").stdout)}
    assert "omb-m-21-31" not in current
    assert "omb-m-26-14" in current


def test_a_sound_policy_is_shown_with_the_rows_of_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "retention.toml"
    path.write_text(POLICY, "utf-8")
    result = run("check", str(path), "-o", "json")
    assert result.exit_code == 0
    first, second = json.loads(result.stdout)
    assert (first["class"], first["hot"], first["rows"]) == ("cards", "P6M", ["pci-dss-4.0.1-10.5.1"])
    assert (second["class"], second["cold"], second["rows"]) == ("rest", "P12M", [])
    assert "note: to release a hold one asks and 2 agree; 0 people have keys in the policy" in result.stderr
    assert "destroy what expired" not in result.stderr  # nobody has to agree to that


def test_a_period_below_a_minimum_is_refused_with_both_named(tmp_path: Path) -> None:
    path = tmp_path / "retention.toml"
    path.write_text(POLICY.replace('hot = "P6M"', 'hot = "P1M"'), "utf-8")
    with pytest.raises(ConfigError, match=r"hot of class 'cards' \(P1M\).*pci-dss-4.0.1-10.5.1 \(P3M\)"):
        run("check", str(path))


def test_without_a_policy_the_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"retention\.policy_file"):
        run("check")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A state directory whose archive was sealed in March 2026 and has a ledger; the settings file beside it."""
    clock = Clock()
    sealed(tmp_path, clock)
    keys = KeyRing(tmp_path / "keys" / "keys.json")
    keys.add_first(START, days=36500)  # whenever these tests run
    ledger = LedgerSettings()
    told = told_settings(ledger, ArchiveSettings())
    Notary(store_in(tmp_path), keys, ledger, told, Clock(), lambda _: None).record(chains_in(tmp_path))
    settings = {
        "state_dir": str(tmp_path),
        "archive": {"directory": str(tmp_path / "archive")},
        "ledger": {"keys_file": str(tmp_path / "keys" / "keys.json")},
        "retention": {"policy_file": str(tmp_path / "retention.toml")},
    }
    (tmp_path / "skytrail.toml").write_bytes(msgspec.toml.encode(settings))
    (tmp_path / "retention.toml").write_text(POLICY, "utf-8")
    return tmp_path


def at(place: Path, *arguments: str) -> Result:
    command = ["--config", str(place / "skytrail.toml"), "retention", *arguments]
    return RUNNER.invoke(build("retention"), command, catch_exceptions=False)


def plan_at(place: Path, time: str, *arguments: str) -> dict[str, Any]:
    result = at(place, "plan", "--archive-only", "--at", time, "-o", "json", *arguments)
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def test_a_policy_comes_into_force_once_and_the_archive_stays_clean(place: Path) -> None:
    first = json.loads(at(place, "adopt", "-o", "json").stdout)
    again = json.loads(at(place, "adopt", "-o", "json").stdout)
    assert {row["namespace"]: row["outcome"] for row in first} == dict.fromkeys(NAMESPACES, "in force")
    assert {row["outcome"] for row in again} == {"already in force"}
    assert list(check(place / "archive")) == []


def test_a_plan_follows_the_policy_of_the_ledger_and_is_the_same_each_time(place: Path) -> None:
    before = plan_at(place, "2026-11-27T00:00:00Z")
    assert {item["decision"] for item in before["items"]} == {"UNKNOWN"}
    at(place, "adopt")
    kept = plan_at(place, "2026-11-27T00:00:00Z")
    assert {item["action"] for item in kept["items"]} == {"keep"}
    out = place / "plan.json"
    over = plan_at(place, "2027-11-27T00:00:00Z", "--out", str(out))
    assert out.read_bytes() == at(
        place, "plan", "--archive-only", "--at", "2027-11-27T00:00:00Z", "-o", "json"
    ).stdout.encode().rstrip(b"\n")
    (destroyed,) = [
        item for item in over["items"] if item["namespace"] == "acme" and item["action"] == "destroy_segments"
    ]
    assert (destroyed["first"], destroyed["class_name"], destroyed["decision"]) == (0, "cards", "EXPIRE")
    assert "pci-dss-4.0.1-10.5.1 (Requirement 10.5.1) asks for P12M ended 2027-03-02" in destroyed["because"]
    blocked = [item for item in over["items"] if item["action"] == "blocked"]
    assert {item["blocked"] for item in blocked} == {"the newest segment of a chain stays: the sealer goes on from it"}


def test_a_policy_can_be_looked_at_before_it_comes_into_force(place: Path) -> None:
    at(place, "adopt")
    longer = place / "longer.toml"
    longer.write_text(POLICY.replace('hot = "P6M"', 'cold = "P9Y"'), "utf-8")
    plan = plan_at(place, "2027-11-27T00:00:00Z", "--policy", str(longer))
    kept = {item["namespace"]: item for item in plan["items"] if item["action"] == "keep"}
    assert kept["acme"]["until"] == "2035-03-02T00:00:00.000000Z"
    assert plan_at(place, "2027-11-27T00:00:00Z")["items"] != plan["items"]


def test_strict_fails_while_something_is_undecided(place: Path) -> None:
    arguments = ("plan", "--archive-only", "--strict")
    assert at(place, *arguments).exit_code == 1
    at(place, "adopt")
    assert at(place, *arguments).exit_code == 0


def test_explain_tells_what_keeps_a_record_and_until_when(place: Path) -> None:
    at(place, "adopt")
    found = json.loads(at(place, "explain", f"{TOPIC}/0/4/0", "-o", "json").stdout)
    assert (found["namespace"], found["dataset"], found["class"]) == ("acme", "aws.cloudtrail", "cards")
    assert found["cold"]["decision"] == "KEEP"
    assert found["cold"]["until"] == "2027-03-02T00:00:00.000000Z"
    assert "pci-dss" in found["cold"]["because"]
    assert found["cold"]["tombstone"] is None
    with pytest.raises(ConfigError, match="the archive has none there"):
        at(place, "explain", f"{TOPIC}/0/999/0")


def test_nothing_destroyed_is_an_empty_list_and_has_no_certificate(place: Path) -> None:
    at(place, "adopt")
    assert json.loads(at(place, "destroyed", "-o", "json").stdout) == []
    with pytest.raises(ConfigError, match="there is no tombstone"):
        at(place, "certificate", "t", "-n", "acme", "--out", str(place / "c.proof"))
