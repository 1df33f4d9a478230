"""`skytrail keys data`, and what the other commands make of an encrypted archive."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from ingest.schema.errors import ConfigError, Refused
from skytrail.cli.exits import Exit
from skytrail.cli.main import build
from skytrail.data_keys import data_keys
from skytrail.settings import load
from storage.datakeys.keys import DataKeys
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary, ready_keys, told_settings
from tests.skytrail.scan.events import call, rules
from tests.storage.archive.samples import Clock, message, open_store, sealer
from tests.storage.ledger.test_notary import chains_in

RUNNER = CliRunner()
OLD = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
SHRED = ("--request", "R-17", "--basis", "a rule", "--approver", "Ames", "--approver", "Bode")


class Place:
    """A state directory with an encrypted archive of an old month, in a ledger, and the command line on it."""

    def __init__(self, root: Path, encryption: dict[str, Any] | None = None) -> None:
        self.root = root
        self.file = root / "skytrail.toml"
        self.set(encryption or {"provider": "file"})
        self.settings = load(self.file)
        self.store = open_store(root / "archive", allow_delete=True)
        one = sealer(self.store, Clock(OLD), keys=self.keys())
        one.add(0, message("acme", *(json.dumps(call(n, "StopLogging")).encode() for n in range(3))))
        one.seal()
        self.enter()

    def set(self, encryption: dict[str, Any]) -> None:
        self.file.write_bytes(msgspec.toml.encode({"state_dir": str(self.root), "archive": {"encryption": encryption}}))

    def keys(self) -> DataKeys:
        found = data_keys(self.settings)
        assert found is not None
        return found

    def enter(self) -> None:
        ledger = self.settings.ledger
        ring, told = KeyRing(self.settings.keys_file), told_settings(ledger, self.settings.archive)
        ready_keys(self.store, ring, dt.datetime.now(dt.UTC), 30)
        notary = Notary(self.store, ring, ledger, told, lambda: dt.datetime.now(dt.UTC), lambda _: None)
        notary.record(chains_in(self.root))

    def run(self, *arguments: str) -> Result:
        return RUNNER.invoke(build(arguments[0]), ["--config", str(self.file), *arguments], catch_exceptions=False)

    def rows(self) -> list[dict[str, Any]]:
        return list(json.loads(self.run("keys", "data", "list", "-o", "json").stdout))

    def scanned(self) -> Result:
        given = ["--rules", str(rules(self.root / "rules")), "--jobs", "1", "-o", "jsonl"]
        return self.run("scan", str(self.root / "archive"), *given)

    def verified(self, *arguments: str) -> tuple[int, set[str], str]:
        result = self.run("verify", "-o", "json", "--jobs", "1", *arguments)
        told = {finding["kind"] for finding in json.loads(result.stdout)["findings"]}
        return result.exit_code, told - {"GAP"}, result.stderr  # no worker runs: the ledger is silent


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_list_tells_whose_month_and_wrapping_and_no_key(place: Place) -> None:
    (row,) = place.rows()
    assert (row["namespace"], row["id"][:7], row["provider"]) == ("acme", "2026-03", "file")
    assert set(row) == {"namespace", "id", "made", "provider", "kek"}


def test_rotation_wraps_anew_and_tells_what_to_back_up_and_what_is_no_longer_needed(place: Place) -> None:
    (before,) = place.rows()
    told = place.run("keys", "data", "rotate").stderr
    (after,) = place.rows()
    assert (after["id"], after["kek"] != before["kek"]) == (before["id"], True)
    assert after["kek"] in told.split("No longer")[0]
    assert before["kek"] in told.split("No longer")[1]
    (place.root / "datakeys" / "keks" / f"{before['kek']}.kek").unlink()
    assert place.verified()[1] == set()
    assert "Wrapped 0 of 1" in place.run("keys", "data", "rotate", "--no-new").stderr


def test_verify_opens_the_own_archive_and_another_one_only_if_asked(place: Place) -> None:
    assert place.verified()[1] == set()
    archive, key = str(place.root / "archive"), place.run("keys", "list", "-o", "json").stdout
    vkeys = [argument for row in json.loads(key) for argument in ("--key", row["vkey"])]
    code, kinds, told = place.verified("--archive", archive, *vkeys)
    assert (code, kinds) == (Exit.INCOMPLETE, {"UNCHECKED"})
    assert "1 segments are encrypted and were not opened" in told
    assert place.verified("--archive", archive, "--data-keys", *vkeys)[1] == set()


def test_scan_and_backtest_read_an_encrypted_archive(place: Place) -> None:
    result = place.scanned()
    hits = [json.loads(line) for line in result.stdout.splitlines()]
    assert sum(hit["rule_id"] == "test-trail-stopped" for hit in hits) == 3
    assert result.exit_code == Exit.OK


def test_prove_takes_the_key_and_the_proof_holds(place: Place) -> None:
    proof = place.root / "event.proof"
    made = place.run("prove", "skytrail.raw.aws.cloudtrail.v1/0/0/1", "-o", str(proof))
    assert made.exit_code == Exit.OK, made.stderr
    key = json.loads(place.run("keys", "list", "-o", "json").stdout)[0]["vkey"]
    assert place.run("check-proof", str(proof), "--key", key).exit_code == Exit.OK


def test_shredding_says_first_what_it_would_do(place: Place) -> None:
    (row,) = place.rows()
    assert "nothing was done" in place.run("keys", "data", "shred", row["id"], "-n", "acme", *SHRED).stderr
    assert place.rows() == [row]


def test_a_shredded_key_leaves_a_lawful_hole_and_can_be_shredded_again(place: Place) -> None:
    (row,) = place.rows()
    for _ in range(2):
        done = place.run("keys", "data", "shred", row["id"], "-n", "acme", *SHRED, "--yes")
        assert done.exit_code == Exit.OK, done.stderr
    assert place.rows() == []
    assert place.verified()[1] == {"ERASED"}
    result = place.scanned()
    assert (result.exit_code, result.stdout) == (Exit.BAD_INPUT, "")  # nothing at all could be read
    assert "3 records can't be read: their data keys are gone" in result.stderr


def test_a_shred_that_was_stopped_after_its_entry_is_found_and_finished(place: Place, monkeypatch: Any) -> None:
    (row,) = place.rows()
    monkeypatch.setattr(DataKeys, "destroy", lambda *_: None)
    place.run("keys", "data", "shred", row["id"], "-n", "acme", *SHRED, "--yes")
    monkeypatch.undo()
    assert place.verified()[1] == {"KEPT"}
    place.run("keys", "data", "shred", row["id"], "-n", "acme", *SHRED, "--yes")
    assert place.verified()[1] == {"ERASED"}


def test_one_approver_an_unknown_key_and_one_in_use_are_refused(place: Place) -> None:
    (row,) = place.rows()
    alone = [*SHRED[:5], "Ames", "--approver", " ames "]
    with pytest.raises(ConfigError, match="two different people"):
        place.run("keys", "data", "shred", row["id"], "-n", "acme", *alone, "--yes")
    with pytest.raises(ConfigError, match="globex has no"):
        place.run("keys", "data", "shred", row["id"], "-n", "globex", *SHRED, "--yes")
    now = place.keys().for_sealing("acme", f"{dt.datetime.now(dt.UTC):%Y-%m}")
    with pytest.raises(Refused, match="month is not over"):
        place.run("keys", "data", "shred", now.id, "-n", "acme", *SHRED, "--yes")
    assert len(place.rows()) == 2


def test_a_key_is_not_destroyed_while_a_law_asks_to_keep_what_it_opens(place: Place) -> None:
    policy = place.root / "retention.toml"
    (key,) = (row["id"] for row in json.loads(place.run("keys", "data", "list", "-o", "json").stdout))
    for regimes, cold in ((["sox"], "P9Y"), ([], "P99Y")):
        told = {"name": "all", "regimes": regimes, "cold": cold}
        policy.write_bytes(msgspec.toml.encode({"version": 1, "name": "acme", "class": [told]}))
        place.run("retention", "adopt", str(policy))
        with pytest.raises(Refused, match=r"sox-.* asks for P7Y of segment 0 of .* until 2033-03-02"):
            place.run("keys", "data", "shred", key, "-n", "acme", *SHRED, "--yes")
    assert len(json.loads(place.run("keys", "data", "list", "-o", "json").stdout)) == 1


def test_where_nothing_is_encrypted_there_is_nothing_to_list(tmp_path: Path) -> None:
    file = tmp_path / "skytrail.toml"
    file.write_bytes(msgspec.toml.encode({"state_dir": str(tmp_path)}))
    with pytest.raises(ConfigError, match="not encrypted"):
        RUNNER.invoke(build("keys"), ["--config", str(file), "keys", "data", "list"], catch_exceptions=False)
