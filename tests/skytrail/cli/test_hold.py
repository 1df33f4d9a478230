"""`skytrail hold`, `people`, `approve`: a hold is placed by one, and released by people with keys of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ingest.schema.errors import ConfigError, Refused
from skytrail.cli.main import build
from storage.verify.archive import check
from tests.skytrail.cli.test_retention import POLICY, place

__all__ = ["place"]
RUNNER = CliRunner()
PLACE = ("hold", "place", "case-7", "-n", "acme", "--reason", "claim", "--by", "alice", "--principal", "mallory")


class Office:
    """People with keys, and the installation."""

    def __init__(self, place: Path) -> None:
        self.place = place
        people = "\n[people]\n" + "\n".join(f'{name} = "{self.key(name)}"' for name in ("alice", "bob", "carol"))
        (place / "retention.toml").write_text(POLICY + people, "utf-8")
        self.run("retention", "adopt")

    def key(self, name: str) -> str:
        out = self.place / f"{name}.pem"
        return str(
            json.loads(self.run("people", "key", f"{name}.example.org", "--out", str(out), "-o", "json").stdout)["vkey"]
        )

    def run(self, *arguments: str) -> Result:
        command = ["--config", str(self.place / "skytrail.toml"), *arguments]
        return RUNNER.invoke(build(arguments[0]), command, catch_exceptions=False)

    def holds(self, *arguments: str) -> dict[str, str]:
        return {
            row["id"]: row["state"] for row in json.loads(self.run("hold", "list", "-o", "json", *arguments).stdout)
        }

    def request(self, by: str = "alice", hold: str = "case-7") -> str:
        out = str(self.place / "case.request")
        asked = ("hold", "request", hold, "-n", "acme", "--reason", "settled", "--by", by)
        self.run(*asked, "--key", str(self.place / f"{by}.pem"), "--out", out)
        return out

    def approve(self, request: str, by: str, key: str = "") -> Result:
        return self.run("approve", request, "--by", by, "--key", str(self.place / f"{key or by}.pem"), "-o", "json")


@pytest.fixture
def office(place: Path) -> Office:
    return Office(place)


def test_a_hold_is_in_the_ledger_and_blocks_the_plan(office: Office) -> None:
    told = json.loads(office.run(*PLACE, "-o", "json").stdout)
    assert (told["state"], told["selector"]) == ("in force", {"datasets": ["*"], "principal": "mallory"})
    assert office.run(*PLACE, "-o", "json").exit_code == 0  # the same again changes nothing
    with pytest.raises(ConfigError, match="another one of this name"):
        office.run(*PLACE, "--account", "123")
    plan = json.loads(
        office.run("retention", "plan", "--archive-only", "--at", "2030-01-01T00:00:00Z", "-o", "json").stdout
    )
    decisions = {item["decision"] for item in plan["items"] if item["namespace"] == "acme"}
    assert decisions == {"HELD"}
    assert list(check(office.place / "archive")) == []


def test_two_others_must_agree_before_a_hold_is_released_and_another_hold_stays(office: Office) -> None:
    office.run(*PLACE)
    office.run("hold", "place", "case-8", "-n", "acme", "--reason", "audit", "--by", "bob")
    request = office.request()
    assert json.loads(office.approve(request, "bob").stdout)["subject"] == "case-7"
    with pytest.raises(Refused, match="2 people besides alice must agree, 1 did"):
        office.run("hold", "release", request, "-n", "acme")
    office.approve(request, "carol")
    assert office.run("hold", "release", request, "-n", "acme").exit_code == 0
    assert office.holds() == {"case-8": "in force"}
    assert office.holds("--released") == {"case-7": "released", "case-8": "in force"}
    assert list(check(office.place / "archive")) == []


def test_who_asks_can_not_agree_and_nobody_signs_for_another(office: Office) -> None:
    office.run(*PLACE)
    request = office.request()
    with pytest.raises(Refused, match="alice asked for it"):
        office.approve(request, "alice")
    with pytest.raises(Refused, match="not the key that the policy has"):
        office.approve(request, "bob", key="carol")
    with pytest.raises(ConfigError, match="does not know this person"):
        office.approve(request, "mallory", key="carol")


def test_what_is_no_hold_can_not_be_released(office: Office) -> None:
    with pytest.raises(ConfigError, match="none is in force"):
        office.request(hold="case-9")


def test_a_key_is_never_overwritten(office: Office) -> None:
    with pytest.raises(ConfigError, match="writing a key"):
        office.key("alice")
