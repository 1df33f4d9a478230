"""An archive under each key provider by the command line, from seal to shred: real clients, services of ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from ingest.schema.errors import ConfigError
from skytrail.cli.exits import Exit
from skytrail.data_keys import data_keys
from skytrail.diagnosis.ledger import DATA_KEYS, ledger_checks
from skytrail.settings import load
from storage.archive.reader import ArchiveReader
from storage.datakeys.registry import all_providers
from tests.doubles.cloud_kms import KEY as GOOGLE_KEY
from tests.doubles.cloud_kms import cloud_kms
from tests.doubles.key_vault import KEY as AZURE_KEY
from tests.doubles.key_vault import key_vault
from tests.skytrail.cli.test_keys_data import OLD, SHRED, Place


@dataclasses.dataclass(frozen=True, slots=True)
class Keys:
    """Keys of one provider.

    Attributes:
        settings: `archive.encryption`, and what else has to be in it.
        rotate: Makes a new version where keys lie (or names another key in the settings).
        end: Makes everything but the newest version useless.
    """

    settings: Callable[[], dict[str, Any]]
    rotate: Callable[[], object]
    end: Callable[[str], object]


@contextmanager
def of_file(root: Path, _: pytest.MonkeyPatch) -> Iterator[Keys]:
    folder = root / "datakeys" / "keks"
    yield Keys(lambda: {"provider": "file"}, lambda: None, lambda kek: (folder / f"{kek}.kek").unlink())


@contextmanager
def of_aws(_: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        client = boto3.client("kms")

        def made() -> str:
            return str(client.create_key()["KeyMetadata"]["Arn"])

        arns = [made()]
        yield Keys(
            lambda: {"provider": "aws_kms", "kms_key": arns[-1]},
            lambda: arns.append(made()),
            lambda kek: client.schedule_key_deletion(KeyId=kek.rpartition("/")[2], PendingWindowInDays=7),
        )


@contextmanager
def of_azure(_: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    with key_vault(monkeypatch) as vault:

        def end(kek: str) -> None:
            vault.versions = [each for each in vault.versions if not kek.endswith(each.id)]

        own = {"key": AZURE_KEY, "endpoint": vault.address}
        yield Keys(lambda: {"provider": "azure_key_vault", "azure_key_vault": own}, vault.rotate, end)


@contextmanager
def of_google(root: Path, _: pytest.MonkeyPatch) -> Iterator[Keys]:
    with cloud_kms(root) as (service, file):

        def end(kek: str) -> None:
            service.states[int(kek.rpartition("/")[2])] = "DESTROYED"

        own = {"key": GOOGLE_KEY, "endpoint": service.address, "credentials_file": str(file)}
        yield Keys(lambda: {"provider": "google_cloud_kms", "google_cloud_kms": own}, service.rotate, end)


OPENED = {"file": of_file, "aws_kms": of_aws, "azure_key_vault": of_azure, "google_cloud_kms": of_google}


@pytest.fixture(params=sorted(OPENED))
def keys(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    with OPENED[request.param](tmp_path, monkeypatch) as made:
        yield made


def records(place: Place) -> int:
    reader = ArchiveReader(place.store, data_keys(load(place.file)))
    return sum(1 for namespace in reader.namespaces() for _ in reader.records(namespace))


def test_every_provider_is_tried() -> None:
    assert set(OPENED) == set(all_providers())


def test_what_was_sealed_is_listed_verified_scanned_and_read_for_a_replay(tmp_path: Path, keys: Keys) -> None:
    place = Place(tmp_path, keys.settings())
    (row,) = place.rows()
    assert row["provider"] == keys.settings()["provider"]
    assert row["kek"]
    assert not any(b"StopLogging" in path.read_bytes() for path in (tmp_path / "archive").rglob("*") if path.is_file())
    assert place.verified()[1] == set()
    assert place.scanned().stdout.count("test-trail-stopped") >= 3
    assert records(place) == 3
    (check,) = [each for each in ledger_checks(load(place.file), OLD) if each.name == DATA_KEYS]
    assert (check.state, row["provider"] in check.found) == ("ok", True)


def test_a_rotated_key_wraps_anew_and_nothing_needs_the_old_version(tmp_path: Path, keys: Keys) -> None:
    place = Place(tmp_path, keys.settings())
    (before,) = place.rows()
    keys.rotate()
    place.set(keys.settings())
    assert place.verified()[1] == set()  # nothing was wrapped anew yet: the old version unwraps
    told = place.run("keys", "data", "rotate").stderr
    (after,) = place.rows()
    assert "Wrapped 1 of 1" in told
    assert (after["id"], after["kek"] != before["kek"]) == (before["id"], True)
    assert before["kek"] in told.split("No longer needed")[1]
    keys.end(before["kek"])
    assert place.verified()[1] == set()
    assert records(place) == 3
    assert "Wrapped 0 of 1" in place.run("keys", "data", "rotate", "--no-new").stderr


def test_a_month_that_is_shredded_is_lawfully_gone(tmp_path: Path, keys: Keys) -> None:
    place = Place(tmp_path, keys.settings())
    (row,) = place.rows()
    done = place.run("keys", "data", "shred", row["id"], "-n", "acme", *SHRED, "--yes")
    assert done.exit_code == Exit.OK, done.stderr
    assert place.rows() == []
    assert place.verified()[1] == {"ERASED"}
    assert "3 records can't be read: their data keys are gone" in place.scanned().stderr
    assert records(place) == 0


def test_an_archive_moves_from_each_provider_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        of_file(tmp_path, monkeypatch) as file,
        of_aws(tmp_path, monkeypatch) as aws,
        of_azure(tmp_path, monkeypatch) as azure,
        of_google(tmp_path, monkeypatch) as google,
    ):
        place = Place(tmp_path, file.settings())
        before = file.settings()
        for made in (google, azure, aws, file):
            before = {**before, **made.settings()}
            place.set(before)
            assert "Wrapped 1 of 1" in place.run("keys", "data", "rotate", "--no-new").stderr
            place.set(made.settings())
            assert place.verified()[1] == set()
            assert place.rows()[0]["provider"] == made.settings()["provider"]


def test_without_the_settings_of_who_wrapped_it_is_told_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with of_azure(tmp_path, monkeypatch) as azure:
        place = Place(tmp_path, azure.settings())
        place.set({"provider": "file"})
        with pytest.raises(ConfigError, match="has no settings") as caught:
            place.run("keys", "data", "rotate")
        assert caught.value.where == "archive.encryption.azure_key_vault"


def test_an_entry_of_a_provider_that_nobody_knows_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (entry,) = (tmp_path / "datakeys" / "table").rglob("*.json")
    entry.chmod(0o600)
    entry.write_bytes(entry.read_bytes().replace(b'"provider":"file"', b'"provider":"azure_key_vault_settings"'))
    with pytest.raises(ConfigError, match="there is none of this name"):
        place.run("keys", "data", "rotate")
