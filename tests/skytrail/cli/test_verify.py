"""`skytrail verify`: what it prints and with which code it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ingest.schema.errors import ConfigError
from skytrail.cli.main import build
from tests.storage.archive.samples import TOPIC, Clock, message, open_store, seal_in_batches
from tests.storage.verify.cloudtrail.samples import MadeTrail, a_trail, key_list
from tests.storage.verify.conftest import make_archive
from tests.storage.verify.ledger.samples import ORGANISATION, MadeArchive, small

RUNNER = CliRunner()
ACME = f"acme/seg/{TOPIC}/0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_archive(tmp_path / "archive")
    return tmp_path / "archive"


def verify(root: Path | str, *arguments: str) -> Result:
    return RUNNER.invoke(build("verify"), ["verify", "--archive", str(root), *arguments], catch_exceptions=False)


def test_an_archive_without_a_ledger_ends_with_5_and_says_that_nobody_vouches(root: Path) -> None:
    result = verify(root, "-o", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["schema_version"], found["verdict"]) == (5, 1, "incomplete")
    assert found["checked"]["segments"] == 7
    assert found["checked"]["records"] > 0
    assert [(each["kind"], each["namespace"]) for each in found["findings"]] == [
        ("UNCHECKED", namespace) for namespace in ("acme", "globex", "unreadable")
    ]
    assert {each["detail"].partition(":")[0] for each in found["findings"]} == {"no ledger vouches for this namespace"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeArchive:
    return small(tmp_path_factory.mktemp("ledgers"))


END = "2026-03-01T12:01:00Z"
"""When the made archive was copied, so to say."""


def test_a_clean_archive_ends_with_0_for_whoever_pinned_its_keys(made: MadeArchive, tmp_path: Path) -> None:
    keys = [str(key) for key in made.pins().keys]
    file = tmp_path / "auditor.keys"
    file.write_text("# of the ledgers\n" + "\n".join(keys[1:]) + "\n")
    kept = made.root / "acme/log/1/checkpoint"
    result = verify(
        made.root, "--key", keys[0], "--key", str(file), "--checkpoint", str(kept), "--to", END, "-o", "json"
    )
    found = json.loads(result.stdout)
    assert (result.exit_code, found["verdict"], found["findings"]) == (0, "clean", [])
    assert (found["checked"]["entries"], found["checked"]["checkpoints"]) == (14, 4)


def test_a_ledger_of_which_no_key_is_pinned_ends_with_5(made: MadeArchive) -> None:
    keys = [str(key) for key in made.pins().keys]
    result = verify(made.root, "--key", keys[0], "--key", keys[1], "--to", END, "-o", "json")
    (finding,) = json.loads(result.stdout)["findings"]
    assert (result.exit_code, finding["kind"], finding["namespace"]) == (5, "UNCHECKED", "unreadable")


def test_the_own_archive_is_checked_with_the_own_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = small(tmp_path)
    monkeypatch.setenv("SKYTRAIL_ARCHIVE__DIRECTORY", str(made.root))
    monkeypatch.setenv("SKYTRAIL_LEDGER__KEYS_FILE", str(made.keys.path))
    monkeypatch.setenv("SKYTRAIL_LEDGER__ORGANISATION", ORGANISATION)
    result = RUNNER.invoke(build("verify"), ["verify", "--to", END, "-o", "json"], catch_exceptions=False)
    assert (result.exit_code, json.loads(result.stdout)["verdict"]) == (0, "clean")
    assert "are believed" in result.stderr
    # A copy elsewhere is nobody's own, and other keys are not those of the log.
    assert verify(made.root, "--to", END).exit_code == 5
    monkeypatch.setenv("SKYTRAIL_LEDGER__KEYS_FILE", str(tmp_path / "none.json"))
    assert RUNNER.invoke(build("verify"), ["verify", "--to", END]).exit_code == 5


@pytest.mark.parametrize("option", ["--key", "--witness", "--authority", "--checkpoint"])
def test_what_is_pinned_must_be_readable(root: Path, option: str) -> None:
    with pytest.raises(ConfigError, match="reading a"):
        verify(root, option, "nonsense")
    with pytest.raises(ConfigError, match="reading a verifier key"):
        verify(root, "--key", "logs.example.org/acme/1+00000000+AZ1f")


def test_a_changed_byte_ends_with_1_and_the_record_is_named(root: Path) -> None:
    path = next((root / ACME).glob("000000000001*.leaves"))
    leaves = bytearray(path.read_bytes())
    leaves[32 * 3] ^= 1
    path.write_bytes(leaves)
    result = verify(root, "-o", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["verdict"]) == (1, "tampered")
    (finding,) = [each for each in found["findings"] if each["kind"] != "UNCHECKED"]
    assert (finding["kind"], finding["grade"], finding["namespace"]) == ("ALTERED", "tampered", "acme")
    assert (finding["topic"], finding["partition"], finding["seq"]) == (TOPIC, 0, 1)
    assert finding["key"].endswith(path.name)
    assert "next:" in result.stderr


def test_what_can_not_be_checked_ends_with_5(tmp_path: Path) -> None:
    result = verify(tmp_path / "nowhere", "-o", "json")
    assert (result.exit_code, json.loads(result.stdout)["verdict"]) == (5, "incomplete")


def test_offsets_that_kafka_never_delivered_make_it_incomplete_and_no_tampering(tmp_path: Path) -> None:
    messages = {0: message("acme", b"a"), 1: message("acme", b"b"), 4: message("acme", b"c")}
    seal_in_batches(open_store(tmp_path / "archive"), messages, [1], Clock())
    result = verify(tmp_path / "archive", "-o", "json")
    (_, finding) = json.loads(result.stdout)["findings"]
    assert (result.exit_code, finding["kind"], finding["offset"], finding["declared"]) == (5, "GAP", 2, True)


def test_only_so_many_findings_are_shown_and_all_are_counted(root: Path) -> None:
    for path in root.rglob("*.ndz"):
        path.unlink()
    result = verify(root, "--limit", "2", "-o", "json")
    found = json.loads(result.stdout)
    assert len(found["findings"]) == 2
    assert found["checked"]["findings"] == 10
    assert "6 MISSING, 2 UNCHECKED more" in result.stderr


def test_a_time_range_is_told(root: Path) -> None:
    result = verify(root, "--to", "2020-01-01T00:00:00Z")
    assert result.exit_code == 5
    assert "outside of the time range" in result.stderr


def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="opening what is to be verified"):
        verify("ftp://host/archive")


@pytest.fixture
def trail(tmp_path: Path) -> MadeTrail:
    (tmp_path / "keys.json").write_text(json.dumps(key_list()))
    return a_trail()


def verify_source(tmp_path: Path, trail: MadeTrail, *arguments: str) -> Result:
    place = trail.write(tmp_path / "copy")
    words = ["--source", str(place), "--source-key", str(tmp_path / "keys.json"), "--to", "2026-11-20T13:30:00Z"]
    return RUNNER.invoke(build("verify"), ["verify", *words, "-o", "json", *arguments], catch_exceptions=False)


def test_what_cloudtrail_delivered_is_checked_without_an_archive(tmp_path: Path, trail: MadeTrail) -> None:
    result = verify_source(tmp_path, trail)
    assert (result.exit_code, json.loads(result.stdout)["checked"]["log_files"]) == (0, 10)
    del trail.objects[trail.logs[0]]
    (tmp_path / "copy" / trail.logs[0]).unlink()
    result = verify_source(tmp_path, trail)
    (finding,) = json.loads(result.stdout)["findings"]
    assert (result.exit_code, finding["kind"], finding["key"]) == (1, "MISSING", trail.logs[0])


def test_archive_and_source_can_be_checked_together(tmp_path: Path, trail: MadeTrail, root: Path) -> None:
    result = verify_source(tmp_path, trail, "--archive", str(root))
    assert result.exit_code == 5
    checked = json.loads(result.stdout)["checked"]
    assert (checked["digests"], checked["objects"]) == (7, 1)


def test_without_a_pinned_key_what_cloudtrail_delivered_is_not_verified(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no key is pinned") as caught:
        RUNNER.invoke(build("verify"), ["verify", "--source", str(tmp_path)], catch_exceptions=False)
    assert "list-public-keys" in caught.value.mend
