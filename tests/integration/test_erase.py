"""One person is erased from a real Elasticsearch and from the archive, and everybody else stays."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from elasticsearch import AsyncElasticsearch
from typer.testing import CliRunner, Result

from ingest.pseudonyms.key_file import add_key, open_pseudonyms
from ingest.pseudonyms.pseudonyms import Pseudonyms
from ingest.schema.errors import ConfigError, IndexUnavailable, Refused
from skytrail.cli.main import build
from skytrail.data_keys import data_keys
from skytrail.local.engines import EngineState
from skytrail.reconciliation import IndexCheck
from skytrail.settings import load
from storage.archive.reader import ArchiveReader
from storage.datakeys.keys import DataKeys
from storage.index.bulk import BulkItem
from storage.index.client import connect
from storage.index.documents import serialise
from storage.index.install import ensure_templates
from storage.index.visibility import make_visible
from storage.index.writer import Writer
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary, ready_keys, told_settings
from storage.verify.findings import Kind, Summary
from storage.verify.ledger.namespace import lawful_of
from storage.verify.places import Directory
from storage.verify.scope import Scope
from streams.keep_out import nothing
from streams.naming import namer
from streams.preparing import Limits
from streams.rebuilding import Rebuilder
from tests.storage.archive.people import ANN, BOB, of_people
from tests.storage.archive.samples import START, Clock, open_store, sealer

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

RUNNER = CliRunner()
POLICY = """
version = 1
name = "acme"

[[class]]
name = "all"
cold = "P1M"
hot = "P1M"
"""
PEOPLE = ("alice", "bob", "carol")


class Scene:
    """An installation with 30 sealed and indexed records, 12 of them ann's, and people who may agree."""

    def __init__(self, root: Path, engines: EngineState) -> None:
        self.root = root
        self.namespace = f"e{uuid.uuid4().hex[:10]}"
        users = engines.elasticsearch_users
        logins = {
            each: {"username": each, "password": users[each]}
            for each in ("bootstrap", "indexer", "alerter", "reader", "retention", "eraser")
        }
        told = {
            "state_dir": str(root),
            "archive": {"encryption": {"provider": "file", "subjects": True}},
            "ledger": {"heartbeat_interval_s": 10**9},  # months pass here between two entries, and that is no gap
            "elasticsearch": {"url": engines.elasticsearch_url, **logins},
        }
        self.file = root / "skytrail.toml"
        self.file.write_bytes(msgspec.toml.encode(told))
        self.settings = load(self.file)
        self.admin = {"hosts": engines.elasticsearch_url, "basic_auth": ("admin", users["admin"])}

    @property
    def pseudonyms(self) -> Pseudonyms:
        """As the index role has them."""
        return open_pseudonyms(self.settings.pseudonyms, self.root, self.root / "archive")

    def shown(self, subject: str) -> str:
        """A subject as documents have it."""
        return self.pseudonyms.asked(self.namespace, subject)[-1]

    def hide(self) -> None:
        """Switch pseudonyms on."""
        add_key(self.root / "pseudonyms" / "keys.json", self.root / "archive", START, new=True)
        told = msgspec.toml.decode(self.file.read_bytes())
        self.file.write_bytes(msgspec.toml.encode(told | {"pseudonyms": {"namespaces": [self.namespace]}}))
        self.settings = load(self.file)

    def keys(self) -> DataKeys:
        found = data_keys(self.settings)
        assert found is not None
        return found

    def seal(self, messages: range = range(6), *, idle: bool = True) -> None:
        """Seal messages and enter them; `idle`: a heartbeat says that there is nothing more to seal."""
        store = open_store(self.root / "archive", allow_delete=True)
        one = sealer(store, Clock(START), keys=self.keys())
        for offset, value in of_people(messages.stop, self.namespace).items():
            if offset in messages:
                one.add(offset, value)
        one.seal()
        ledger, ring = self.settings.ledger, KeyRing(self.settings.keys_file)
        ready_keys(store, ring, dt.datetime.now(dt.UTC), 30)
        settings = told_settings(ledger, self.settings.archive)
        notary = Notary(store, ring, ledger, settings, lambda: dt.datetime.now(dt.UTC), lambda _: None)
        notary.record(one.chains())
        if idle:
            often = ledger.model_copy(update={"heartbeat_interval_s": 60})
            Notary(store, ring, often, settings, lambda: dt.datetime.now(dt.UTC)).tell_idle(one.chains())

    async def index(self) -> None:
        bootstrap = connect(self.settings.elasticsearch, "bootstrap")
        await ensure_templates(bootstrap, self.settings.elasticsearch)
        await bootstrap.close()
        rebuilder = Rebuilder(namer(self.settings.elasticsearch), Limits.of(24, 3660), nothing)
        reader = ArchiveReader(open_store(self.root / "archive"), self.keys())
        items = [
            BulkItem(each.index, each.id, serialise(self.pseudonyms.document(each.document)))
            for each in rebuilder.rebuild(reader.records(self.namespace))
            if each.document is not None
        ]
        alert = {"@timestamp": "2026-03-01T12:00:00.000Z", "skytrail": {"principal": {"key": self.shown(ANN)}}}
        items.append(BulkItem(f"logs-skytrail.alert-{self.namespace}-2026.03", "alert-1", serialise(alert)))
        client = connect(self.settings.elasticsearch, "indexer")
        outcome = await Writer(client).write(items)
        assert len(outcome.created) == len(items)
        await client.close()
        viewer = connect(self.settings.elasticsearch, "reader")
        await make_visible(viewer)
        await viewer.close()

    def agree(self) -> None:
        people = "\n[people]\n" + "\n".join(f'{name} = "{self.key(name)}"' for name in PEOPLE)
        (self.root / "retention.toml").write_text(POLICY + people, "utf-8")
        self.run("retention", "adopt", str(self.root / "retention.toml"))

    def key(self, name: str) -> str:
        out = str(self.root / f"{name}.pem")
        return str(
            json.loads(self.run("people", "key", f"{name}.example.org", "--out", out, "-o", "json").stdout)["vkey"]
        )

    def run(self, *arguments: str) -> Result:
        command = ["--config", str(self.file), *arguments]
        return RUNNER.invoke(build(arguments[0]), command, catch_exceptions=False)

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        return list(json.loads(self.run(*arguments, "-n", self.namespace, "-o", "json").stdout))

    def request(self, *approvers: str) -> str:
        out = str(self.root / "17.request")
        asked = ("erase", "request", ANN, "-n", self.namespace, "--reason", "DPO-17", "--by", "alice")
        self.run(*asked, "--key", str(self.root / "alice.pem"), "--out", out)
        for name in approvers:
            self.run("approve", out, "--by", name, "--key", str(self.root / f"{name}.pem"))
        return out

    def verified(self) -> tuple[int, set[str]]:
        """Exit code and kinds of findings; that no worker beats is none of them here."""
        result = self.run("verify", "-o", "json", "--jobs", "1")
        return result.exit_code, {each["kind"] for each in json.loads(result.stdout)["findings"]} - {"GAP"}

    def compared(self) -> list[tuple[Kind, str]]:
        """What the comparison of Elasticsearch with the archive finds in this namespace."""
        summary, now = Summary(), dt.datetime.now(dt.UTC)
        store = open_store(self.root / "archive")
        check = IndexCheck(
            self.settings,
            store,
            Scope(),
            now,
            summary,
            lambda _: None,
            namespaces=(self.namespace,),
            lawful=functools.partial(lawful_of, Directory(self.root / "archive")),
        )
        return [(each.kind, each.detail) for each in check.check()]

    async def documents(self) -> dict[str, int]:
        admin = AsyncElasticsearch(**self.admin)
        try:
            await admin.indices.refresh(index=f"logs-*-{self.namespace}-*")
            answer = await admin.search(
                index=f"logs-*-{self.namespace}-*",
                size=0,
                aggs={"who": {"terms": {"field": "skytrail.principal.key", "missing": "nobody"}}},
            )
            return {each["key"]: each["doc_count"] for each in answer["aggregations"]["who"]["buckets"]}
        finally:
            await admin.close()

    async def clear(self) -> None:
        admin = AsyncElasticsearch(**self.admin)
        names = list((await admin.indices.get(index=f"logs-*-{self.namespace}-*")).body)
        if names:
            await admin.indices.delete(index=names)
        await admin.close()


@pytest.fixture
def scene(engines: EngineState, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path, engines)
    made.seal()
    asyncio.run(made.index())
    made.agree()
    yield made
    asyncio.run(made.clear())


@pytest.fixture
def hidden(engines: EngineState, tmp_path: Path) -> Iterator[Scene]:
    """The same under pseudonyms."""
    made = Scene(tmp_path, engines)
    made.hide()
    made.seal()
    asyncio.run(made.index())
    made.agree()
    yield made
    asyncio.run(made.clear())


def states(rows: list[dict[str, Any]]) -> dict[str, tuple[str, int | None]]:
    return {
        row["what"].split()[0] if row["what"].startswith("key") else row["what"]: (row["state"], row["records"])
        for row in rows
    }


def test_one_person_is_erased_everywhere_and_everybody_else_stays(scene: Scene) -> None:
    (found,) = scene.rows("erase", "find", "ann")
    assert (found["subject"], found["documents"]) == (ANN, 12)
    planned = states(scene.rows("erase", "plan", ANN))
    assert planned["key"] == ("erase", 12)
    assert planned["documents"] == ("erase", 12)
    assert planned["alerts"] == ("erase", 1)
    assert planned["Kafka"] == ("yours", None)
    before = asyncio.run(scene.documents())
    assert before[ANN] == 13  # twelve events and an alert
    request = scene.request("bob")
    result = scene.run("erase", "apply", request, ANN, "-n", scene.namespace, "-o", "json")
    assert result.exit_code == 0, result.stderr
    assert states(json.loads(result.stdout))["key"] == ("gone", 12)
    after = asyncio.run(scene.documents())
    assert after == {key: count for key, count in before.items() if key != ANN}
    reader = ArchiveReader(open_store(scene.root / "archive"), scene.keys())
    bodies = [record.body for record in reader.records(scene.namespace)]
    assert len(bodies) == 18
    assert not any(b'"ann"' in body for body in bodies)
    assert scene.verified() == (0, {"ERASED"})
    assert scene.compared() == []
    out = str(scene.root / "17.proof")
    scene.run("erase", "certificate", request, "-n", scene.namespace, "--out", out)
    vkey = json.loads(scene.run("keys", "list", "-o", "json").stdout)[0]["vkey"]
    certified = scene.run("check-certificate", out, "--key", vkey, "-o", "json")
    assert certified.exit_code == 0, certified.stderr
    assert json.loads(certified.stdout)["approvers"] == ["alice", "bob"]
    again = scene.run("erase", "apply", request, ANN, "-n", scene.namespace)  # as after a stop at the very end
    assert again.exit_code == 0, again.stderr
    (row,) = [each for each in scene.rows("erase", "plan", BOB) if each["what"].startswith("key")]
    assert (row["state"], row["records"]) == ("erase", 6)


def test_nothing_goes_before_somebody_else_agreed_or_for_another_person(scene: Scene) -> None:
    request = scene.request()
    with pytest.raises(Refused, match="1 people besides alice must agree, 0 did"):
        scene.run("erase", "apply", request, ANN, "-n", scene.namespace)
    request = scene.request("bob")
    with pytest.raises(ConfigError, match="it is about erasure"):
        scene.run("erase", "apply", request, BOB, "-n", scene.namespace)
    assert asyncio.run(scene.documents())[ANN] == 13
    assert len(scene.keys().of_subject(scene.namespace, ANN)) == 1


def test_a_hold_on_the_person_keeps_it_and_one_on_somebody_else_does_not(scene: Scene) -> None:
    hold = ("hold", "place", "-n", scene.namespace, "--reason", "claim", "--by", "alice")
    scene.run(*hold, "case-7", "--principal", "bob")
    assert states(scene.rows("erase", "plan", ANN))["key"] == ("erase", 12)
    request = scene.request("bob")
    scene.run(*hold, "case-8", "--principal", "ann")
    (row,) = [each for each in scene.rows("erase", "plan", ANN) if each["what"].startswith("key")]
    assert (row["state"], row["because"]) == ("held", "the legal hold case-8 covers one of its records")
    with pytest.raises(Refused, match="nothing can go now"):
        scene.run("erase", "apply", request, ANN, "-n", scene.namespace)


def test_a_legal_minimum_keeps_it_and_says_until_when(scene: Scene) -> None:
    path = scene.root / "retention.toml"
    text = path.read_text("utf-8").replace('cold = "P1M"\nhot = "P1M"', 'regimes = ["pci-dss"]\nhot = "P6M"')
    path.write_text(text, "utf-8")
    scene.run("retention", "adopt", str(path))
    (row,) = [each for each in scene.rows("erase", "plan", ANN) if each["what"].startswith("key")]
    assert row["state"] == "kept"
    assert "pci-dss" in row["because"]
    assert row["because"].endswith("until 2027-03-02")


def test_stopped_between_key_and_documents_it_is_finished_by_the_same_command(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = scene.request("bob")

    async def away(*_: object) -> int:
        raise IndexUnavailable("deleting a person's documents: no answer")

    with monkeypatch.context() as patched:
        patched.setattr("skytrail.erasing.delete", away)
        with pytest.raises(IndexUnavailable):
            scene.run("erase", "apply", request, ANN, "-n", scene.namespace)
    assert scene.keys().of_subject(scene.namespace, ANN) == []
    assert asyncio.run(scene.documents())[ANN] == 13
    assert {kind for kind, _ in scene.compared()} == {Kind.KEPT}
    assert scene.run("erase", "apply", request, ANN, "-n", scene.namespace).exit_code == 0
    assert ANN not in asyncio.run(scene.documents())


def test_under_pseudonyms_a_person_is_found_by_name_and_erased_by_token(hidden: Scene) -> None:
    token = hidden.shown(ANN)
    (found,) = hidden.rows("erase", "find", "ann")
    assert (found["subject"], found["documents"]) == (token, 12)
    assert hidden.rows("erase", "plan", token) == hidden.rows("erase", "plan", ANN)
    planned = states(hidden.rows("erase", "plan", token))
    assert (planned["key"], planned["documents"], planned["alerts"]) == (("erase", 12), ("erase", 12), ("erase", 1))
    assert asyncio.run(hidden.documents())[token] == 13
    result = hidden.run("erase", "apply", hidden.request("bob"), token, "-n", hidden.namespace, "-o", "json")
    assert result.exit_code == 0, result.stderr
    assert "ann" not in result.stdout
    assert token not in asyncio.run(hidden.documents())
    assert asyncio.run(hidden.documents())[hidden.shown(BOB)] == 6
    assert hidden.verified() == (0, {"ERASED"})
    assert hidden.compared() == []


def test_a_token_of_another_key_is_not_taken_for_a_person(hidden: Scene) -> None:
    token = hidden.shown(ANN)
    (hidden.root / "pseudonyms" / "keys.json").unlink()
    add_key(hidden.root / "pseudonyms" / "keys.json", hidden.root / "archive", START, new=True)
    with pytest.raises(ConfigError, match="a subject is a token of a key or a namespace that is not here"):
        hidden.run("erase", "plan", token, "-n", hidden.namespace)


def test_a_hold_that_comes_between_the_entry_and_the_keys_keeps_them(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = scene.request("bob")

    def dies(*_: object) -> None:
        raise IndexUnavailable("the command was stopped here")

    with monkeypatch.context() as patched:
        patched.setattr("skytrail.erasing.Erasing.destroy", dies)
        with pytest.raises(IndexUnavailable):
            scene.run("erase", "apply", request, ANN, "-n", scene.namespace)
    scene.run("hold", "place", "case-9", "-n", scene.namespace, "--reason", "claim", "--by", "alice")
    again = scene.run("erase", "apply", request, ANN, "-n", scene.namespace, "-o", "json")
    assert again.exit_code == 5
    assert states(json.loads(again.stdout))["key"] == ("held", 12)
    assert len(scene.keys().of_subject(scene.namespace, ANN)) == 1
    assert asyncio.run(scene.documents())[ANN] == 13


def test_a_request_that_was_carried_out_is_good_for_nobody_else(scene: Scene) -> None:
    request = scene.request("bob")
    assert scene.run("erase", "apply", request, ANN, "-n", scene.namespace).exit_code == 0
    for subjects in ((BOB,), (ANN, BOB)):
        with pytest.raises(Refused, match="none of these keys is of one of the subjects"):
            scene.run("erase", "apply", request, *subjects, "-n", scene.namespace)
    assert asyncio.run(scene.documents())[BOB] == 6


def test_records_of_that_month_that_are_sealed_after_the_erasure_are_told_and_erased_by_a_new_request(
    scene: Scene,
) -> None:
    assert scene.run("erase", "apply", scene.request("bob"), ANN, "-n", scene.namespace).exit_code == 0
    assert scene.rows("erase", "find", ANN) == []
    scene.seal(range(6, 8), idle=False)
    (found,) = scene.rows("erase", "find", ANN)
    assert (found["documents"], found["keys"], found["after_erasure"]) == (0, 1, 1)
    planned = states(scene.rows("erase", "plan", ANN))
    assert planned["key"] == ("erase", 4)
    result = scene.run("erase", "apply", scene.request("carol"), ANN, "-n", scene.namespace, "-o", "json")
    assert result.exit_code == 5  # the seal role is not known to have got past March
    told = [row for row in json.loads(result.stdout) if row["what"].startswith("records beyond")]
    assert [(row["what"], row["state"]) for row in told] == [
        ("records beyond skytrail.raw.aws.cloudtrail.v1, partition 0, up to 2026-03-01T12:00", "later")
    ]
    assert scene.keys().of_subject(scene.namespace, ANN) == []
    assert scene.verified() == (0, {"ERASED"})


def test_a_lost_request_is_written_anew_from_the_ledger_and_gone_on_with_in_a_later_epoch(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Path(scene.request("bob"))
    original = request.read_bytes()

    def dies(*_: object) -> None:
        raise IndexUnavailable("the command was stopped here")

    with monkeypatch.context() as patched:
        patched.setattr("skytrail.erasing.Erasing.destroy", dies)
        with pytest.raises(IndexUnavailable):
            scene.run("erase", "apply", str(request), ANN, "-n", scene.namespace)
    request.unlink()
    told = msgspec.toml.decode(scene.file.read_bytes())
    told["ledger"]["epoch"] = 2
    scene.file.write_bytes(msgspec.toml.encode(told))
    scene.settings = load(scene.file)
    scene.seal(range(0))
    with pytest.raises(Refused, match="no entry of the ledger erases all of them"):
        scene.run("erase", "recover", ANN, BOB, "-n", scene.namespace, "--out", str(request))
    (row,) = scene.rows("erase", "recover", ANN, "--out", str(request))
    assert (row["keys"], row["left"], row["approvers"]) == (1, 1, "alice, bob")
    assert request.read_bytes() == original
    again = scene.run("erase", "apply", str(request), ANN, "-n", scene.namespace)
    assert again.exit_code == 0, again.stderr
    assert ANN not in asyncio.run(scene.documents())
    assert scene.verified() == (0, {"ERASED"})
    out = str(scene.root / "17.proof")
    certified = scene.run("erase", "certificate", str(request), "-n", scene.namespace, "--out", out)
    assert certified.exit_code == 0, certified.stderr


def test_what_is_recorded_of_an_erasure_names_neither_person_nor_path(scene: Scene) -> None:
    told = msgspec.toml.decode(scene.file.read_bytes())
    away = {"bootstrap_servers": "127.0.0.1:1", "publish_deadline_s": 1.0}  # so records of actions wait on disk
    scene.file.write_bytes(msgspec.toml.encode(told | {"kafka": away}))
    request = Path(scene.request("bob"))
    named = request.with_name("erasure-of-ann.request")
    request.rename(named)
    with pytest.raises(Refused, match="none of these keys is of one of the subjects"):
        scene.run("erase", "apply", str(named), ANN, "aws:nobody", "-n", scene.namespace)
    assert scene.run("erase", "apply", str(named), ANN, "-n", scene.namespace).exit_code == 0
    out = str(scene.root / "ann.proof")
    scene.run("erase", "certificate", str(named), "-n", scene.namespace, "--out", out)
    kept = [path.read_bytes() for path in (scene.root / "actions").rglob("*") if path.is_file()]
    of_erasure = [body for body in kept if b"erase.apply" in body or b"erase.certificate" in body or b"approve" in body]
    assert len(of_erasure) >= 4
    for body in of_erasure:
        assert b"ann" not in body
        assert b"nobody" not in body
        assert b"keys_sha256" in body or b"subject" in body
