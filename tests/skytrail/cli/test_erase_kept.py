"""`skytrail erase apply` goes on when what kept a person's key after the entry is over; `verify` says which it is."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from ingest.schema.errors import IndexUnavailable, Refused
from skytrail.cli.exits import Exit
from skytrail.cli.main import build
from skytrail.data_keys import data_keys
from skytrail.erasing import Erasing, Hot
from skytrail.settings import load
from storage.datakeys.keys import DataKeys
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary, ready_keys, told_settings
from tests.storage.archive.people import ANN, of_people
from tests.storage.archive.samples import START, Clock, open_store, sealer

RUNNER = CliRunner()
PEOPLE = ("alice", "bob", "carol")
POLICY = 'version = 1\nname = "acme"\n\n[[class]]\nname = "all"\ncold = "P1M"\nhot = "P1M"\n'
SUBJECT = (ANN, "-n", "acme")
PLACE = ("hold", "place", "case-9", "-n", "acme", "--reason", "claim", "--by", "alice")


class Scene:
    """An installation whose archive has 12 records of ann from March, and people who may agree."""

    def __init__(self, root: Path) -> None:
        self.root = root
        told = {
            "state_dir": str(root),
            "archive": {"encryption": {"provider": "file", "subjects": True}},
            "ledger": {"heartbeat_interval_s": 10**9},  # months pass here between two entries, and that is no gap
            "elasticsearch": {"url": "http://127.0.0.1:1", "reader": {"username": "reader", "password": "x"}},
        }
        self.file = root / "skytrail.toml"
        self.file.write_bytes(msgspec.toml.encode(told))
        self.settings = load(self.file)
        self.seal(range(6))
        people = "\n[people]\n" + "\n".join(f'{name} = "{self.key(name)}"' for name in PEOPLE)
        (root / "retention.toml").write_text(POLICY + people, "utf-8")
        self.run("retention", "adopt", str(root / "retention.toml"))

    @property
    def keys(self) -> DataKeys:
        found = data_keys(self.settings)
        assert found is not None
        return found

    def seal(self, messages: range) -> None:
        """Seal messages of March and enter them; a heartbeat says that there is nothing more."""
        store = open_store(self.root / "archive", allow_delete=True)
        one = sealer(store, Clock(START), keys=self.keys)
        one.restore()
        for offset in messages:
            one.add(offset, of_people(messages.stop)[offset])
        one.seal()
        ledger, ring = self.settings.ledger, KeyRing(self.settings.keys_file)
        ready_keys(store, ring, dt.datetime.now(dt.UTC), 30)
        told = told_settings(ledger, self.settings.archive)
        Notary(store, ring, ledger, told, lambda: dt.datetime.now(dt.UTC), lambda _: None).record(one.chains())
        often = ledger.model_copy(update={"heartbeat_interval_s": 60})
        Notary(store, ring, often, told, lambda: dt.datetime.now(dt.UTC)).tell_idle(one.chains())

    def key(self, name: str) -> str:
        out = str(self.root / f"{name}.pem")
        told = self.run("people", "key", f"{name}.example.org", "--out", out, "-o", "json")
        return str(json.loads(told.stdout)["vkey"])

    def run(self, *arguments: str) -> Result:
        command = ["--config", str(self.file), *arguments]
        return RUNNER.invoke(build(arguments[0]), command, catch_exceptions=False)

    def request(self, name: str = "17", *more: str) -> str:
        """A request to erase ann, or what `more` asks for, that two others signed."""
        out = str(self.root / f"{name}.request")
        asked = more or ("erase", "request", *SUBJECT)
        self.run(*asked, "--reason", name, "--by", "alice", "--key", str(self.root / "alice.pem"), "--out", out)
        for other in ("bob", "carol"):
            self.run("approve", out, "--by", other, "--key", str(self.root / f"{other}.pem"))
        return out

    def stopped(self, monkeypatch: pytest.MonkeyPatch) -> str:
        """The request of an erasure that was stopped between the entry and the keys."""
        request = self.request()

        def dies(*_: object) -> None:
            raise IndexUnavailable("the command was stopped here")

        with monkeypatch.context() as patched:
            patched.setattr(Erasing, "destroy", dies)
            with pytest.raises(IndexUnavailable):
                self.run("erase", "apply", request, *SUBJECT)
        return request

    def applied(self, request: str) -> tuple[int, str]:
        """The exit code, and what became of the key."""
        result = self.run("erase", "apply", request, *SUBJECT, "-o", "json")
        (state,) = {row["state"] for row in json.loads(result.stdout) if row["what"].startswith("key ")}
        return result.exit_code, state

    def verified(self) -> tuple[int, set[str]]:
        result = self.run("verify", "-o", "json", "--jobs", "1")
        return result.exit_code, {each["kind"] for each in json.loads(result.stdout)["findings"]}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Elasticsearch has no document any more: all were dropped long ago."""

    async def nothing(*_: object) -> Hot:
        return Hot([], 0, 0, [], 0)

    async def none(*_: object) -> int:
        return 0

    made = Scene(tmp_path)
    monkeypatch.setattr(Erasing, "hot", nothing)
    monkeypatch.setattr(Erasing, "delete", none)
    return made


def test_a_hold_between_entry_and_keys_is_no_crime_and_after_its_release_the_same_command_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = scene.stopped(monkeypatch)
    assert scene.verified() == (Exit.FINDINGS, {"KEPT"})  # nothing in the ledger says why it is still there
    scene.run(*PLACE)
    assert scene.applied(request) == (Exit.INCOMPLETE, "held")
    assert scene.verified() == (Exit.OK, {"HELD"})
    release = scene.request("case", "hold", "request", "case-9", "-n", "acme")
    assert scene.run("hold", "release", release, "-n", "acme").exit_code == Exit.OK
    assert scene.verified() == (Exit.FINDINGS, {"KEPT"})  # until the command is run again
    assert scene.applied(request) == (Exit.OK, "gone")
    assert scene.keys.of_subject("acme", ANN) == []
    assert scene.verified() == (Exit.OK, {"ERASED"})


def test_a_new_request_goes_on_as_well_but_not_before_the_release(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.stopped(monkeypatch)
    scene.run(*PLACE, "--principal", "AWS:Ann")
    with pytest.raises(Refused, match="nothing can go now"):
        scene.request("18")
    assert scene.verified() == (Exit.OK, {"HELD"})
    scene.run("hold", "release", scene.request("case", "hold", "request", "case-9", "-n", "acme"), "-n", "acme")
    assert scene.applied(scene.request("18")) == (Exit.OK, "gone")
    assert scene.verified() == (Exit.OK, {"ERASED"})


def test_a_minimum_that_was_adopted_meanwhile_keeps_it_lawfully(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    request = scene.stopped(monkeypatch)
    path = scene.root / "retention.toml"
    text = path.read_text("utf-8").replace('cold = "P1M"\nhot = "P1M"', 'regimes = ["sox"]\ncold = "P8Y"\nhot = "P1M"')
    path.write_text(text, "utf-8")
    scene.run("retention", "adopt", str(path))
    assert scene.applied(request) == (Exit.INCOMPLETE, "kept")
    assert scene.verified() == (Exit.OK, {"HELD"})
