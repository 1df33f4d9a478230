"""`skytrail prove` and `skytrail check-proof`: what they write, print and end with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ingest.schema.errors import ConfigError, IntegrityError
from skytrail.cli.commands import prove as command
from skytrail.cli.main import build
from storage.index.search import Hit
from storage.ledger.note import Note, parse
from storage.verify.ledger.notes import parse_checkpoint
from storage.verify.proof.document import parse_proof
from tests.storage.archive.samples import TOPIC, expected_records, stream
from tests.storage.verify.ledger.samples import MadeArchive, small, witness

RECORDS = expected_records(stream(14))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeArchive:
    return small(tmp_path_factory.mktemp("proofs"))


def run(*words: object) -> Result:
    return CliRunner().invoke(build(str(words[0])), list(map(str, words)), catch_exceptions=False)


def test_a_proof_by_place_is_written_and_holds(made: MadeArchive, tmp_path: Path) -> None:
    file = tmp_path / "event.proof"
    written = run("prove", f"{TOPIC}/0/7/1", "-o", file, "--archive", made.root)
    assert (written.exit_code, written.stdout) == (0, "")
    assert f"record {TOPIC}/0/7/1 is in entry 3 of {made.origin()}" in written.stderr
    checked = run("check-proof", file, "--key", made.vkeys()[0], "-o", "json")
    told = json.loads(checked.stdout)
    assert (checked.exit_code, told["holds"], told["wrong"]) == (0, True, [])
    assert (told["namespace"], told["offset"], told["index"], told["bytes"]) == (
        "acme",
        7,
        1,
        len(RECORDS["acme", 7, 1]),
    )
    assert (told["log"], told["entry"]) == (made.origin(), 3)
    assert told["signed_by"] == [made.vkeys()[0].key_id.hex()]


def test_without_its_record_a_proof_is_about_the_bytes_that_are_brought(made: MadeArchive, tmp_path: Path) -> None:
    file, record = tmp_path / "event.proof", tmp_path / "event.json"
    assert run("prove", f"{TOPIC}/0/7", "-o", file, "--archive", made.root, "--no-record").exit_code == 0
    assert parse_proof(file.read_bytes()).record is None
    record.write_bytes(RECORDS["acme", 7, 0])
    key = made.vkeys()[0]
    assert run("check-proof", file, "--key", key, "--record", record).exit_code == 0
    assert "its leaf is given" in run("check-proof", file, "--key", key).stderr
    record.write_bytes(b"another")
    result = run("check-proof", file, "--key", key, "--record", record)
    assert (result.exit_code, "wrong: the record is another one" in result.stderr) == (1, True)


def test_what_does_not_hold_ends_with_1(made: MadeArchive, tmp_path: Path) -> None:
    file = tmp_path / "event.proof"
    run("prove", f"{TOPIC}/0/7/1", "-o", file, "--archive", made.root)
    result = run("check-proof", file, "--key", made.vkeys("globex")[0], "-o", "json")
    assert (result.exit_code, json.loads(result.stdout)["holds"]) == (1, False)
    file.write_bytes(file.read_bytes()[:-20])
    result = run("check-proof", file, "--key", made.vkeys()[0])
    assert (result.exit_code, "wrong: this is no proof" in result.stderr) == (1, True)


def test_without_a_pinned_key_a_proof_is_not_checked(made: MadeArchive, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no key is pinned"):
        run("check-proof", tmp_path / "event.proof")
    with pytest.raises(ConfigError, match="reading a proof"):
        run("check-proof", tmp_path / "event.proof", "--key", made.vkeys()[0])


def document(made: MadeArchive, **changes: Any) -> Hit:
    leaf = parse_proof(_proof(made)).leaf.hex()
    source = {
        "data_stream": {"namespace": "acme"},
        "event": {"hash": leaf},
        "skytrail": {"kafka": {"topic": TOPIC, "partition": 0, "offset": 7, "index": 1}},
    }
    return Hit("logs-aws.cloudtrail-acme-2026.03.01", "x", source | changes)


def _proof(made: MadeArchive) -> bytes:
    return run("prove", f"{TOPIC}/0/7/1", "-o", "-", "--archive", made.root).stdout_bytes


def found(monkeypatch: pytest.MonkeyPatch, *hits: Hit) -> None:
    """Elasticsearch finds these; that it does is proven in tests/integration."""

    async def hits_of(*_: object) -> list[Hit]:
        return list(hits)

    monkeypatch.setattr(command, "_hits", hits_of)
    monkeypatch.setenv("SKYTRAIL_ELASTICSEARCH__URL", "http://127.0.0.1:9")


def test_the_place_of_a_document_is_looked_up(
    made: MadeArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch, document(made))
    file = tmp_path / "event.proof"
    assert run("prove", "0IxhQvKZb6Zk1Zd0J3m4aA", "-o", file, "--archive", made.root).exit_code == 0
    assert file.read_bytes() == _proof(made)


def test_a_document_that_names_another_leaf_is_told(
    made: MadeArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch, document(made, event={"hash": "00" * 32}))
    with pytest.raises(IntegrityError, match="names another leaf"):
        run("prove", "x", "-o", tmp_path / "event.proof", "--archive", made.root)


def test_what_is_not_there_is_told(made: MadeArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="the archive has no record"):
        run("prove", f"{TOPIC}/0/99/1", "-o", tmp_path / "event.proof", "--archive", made.root)
    found(monkeypatch)
    with pytest.raises(ConfigError, match="there is none"):
        run("prove", "x", "-o", tmp_path / "event.proof", "--archive", made.root)


def test_a_witness_may_state_any_time(made: MadeArchive, tmp_path: Path) -> None:
    proof, signer, file = parse_proof(_proof(made)), witness("w.example/1"), tmp_path / "event.proof"
    note = parse(proof.ledger.checkpoint.raw)
    cosigned = Note(note.text, (*note.signatures, signer.sign(note.text, 2**62))).encode()
    ledger = replace(proof.ledger, checkpoint=parse_checkpoint(cosigned))
    file.write_bytes(replace(proof, ledger=ledger).encode())
    result = run("check-proof", file, "--key", made.vkeys()[0], "--witness", signer.key, "-o", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["cosigned"]["w.example/1"].startswith("beyond all times")
