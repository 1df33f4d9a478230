"""Reading from containers of Azure and buckets of Google: what `Place` promises, and how their stores keep objects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.schema.errors import ConfigError
from storage.archive.opening import archive_at, open_archive
from storage.azure_settings import AzureArchiveSettings
from storage.gcs_settings import GcsArchiveSettings
from storage.settings import ArchiveSettings, CloudArchive
from storage.verify import azure_container, google_bucket
from storage.verify.archive import examine
from storage.verify.guard import Guard
from storage.verify.places import Place, place_at
from storage.verify.scope import Scope
from tests.azurite import ACCOUNT, Azurite
from tests.storage.archive.containers import container, container_store
from tests.storage.archive.gcs_buckets import fake_gcs, gcs_store
from tests.storage.archive.immutable_account import running_account

OBJECTS = {"a/b/two": b"22", "a/one": b"1", "c": bytes(range(256)) * 9000}
KEY = "acme/seg/topic/0/000000000000-aa.ndz"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Google's libraries find the server as they find any other."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake_gcs())
    google_bucket._bucket.cache_clear()
    yield fake_gcs()
    google_bucket._bucket.cache_clear()


@pytest.fixture(params=["azure", "gcs"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> CloudArchive:
    """An empty archive in a cloud, by its settings."""
    if request.param == "azure":
        azurite: Azurite = request.getfixturevalue("azurite")
        file = tmp_path / "connection"
        file.write_text(azurite.connection_string + "\n")
        name = container(azurite).container_name
        return AzureArchiveSettings(
            account=ACCOUNT, container=name, prefix="down/there", lock="none", connection_string_file=file
        )
    request.getfixturevalue("google")
    bucket = gcs_store()._settings.bucket
    return GcsArchiveSettings(bucket=bucket, prefix="down/there", lock="none")


@pytest.fixture
def place(cloud: CloudArchive) -> Place:
    settings = ArchiveSettings.model_validate({("azure" if "azure" in cloud.address else "gcs"): cloud})
    store = open_archive(settings, Path())
    for key, body in OBJECTS.items():
        store.put(key, body)
    return place_at(cloud.opening_address)


def test_every_place_gives_bytes_and_names(place: Place) -> None:
    assert place.read("a/one") == b"1"
    assert place.read("a/none") is None
    assert place.read("none/at/all") is None
    assert b"".join(place.chunks("c")) == OBJECTS["c"]
    assert place.names("") == ["a/", "c"]
    assert place.names("a") == place.names("a/") == ["b/", "one"]
    assert list(place.walk("")) == ["a/b/two", "a/one", "c"]
    assert list(place.walk("a/b")) == ["a/b/two"]
    assert list(place.walk("none")) == []
    assert dict(place.metadata("c")) == {}
    assert place.guard("c") is None
    assert place.guard("none") is None


def test_names_behind_another_are_as_many_as_asked_for(place: Place) -> None:
    assert place.names_behind("", "", 9) == ["a/", "c"]
    assert place.names_behind("", "a", 1) == place.names_behind("", "Z", 1) == ["a/"]
    assert place.names_behind("a", "b/", 9) == place.names_behind("a/", "c", 9) == ["one"]
    assert place.names_behind("a", "one", 9) == place.names_behind("none", "", 9) == []


def test_an_archive_in_a_cloud_is_checked_like_one_in_a_directory(clean: Path, cloud: CloudArchive) -> None:
    settings = ArchiveSettings.model_validate({("azure" if "azure" in cloud.address else "gcs"): cloud})
    store = open_archive(settings, Path(), allow_delete=True)
    for path in clean.rglob("*"):
        if path.is_file() and not path.relative_to(clean).as_posix().startswith("."):
            store.put(path.relative_to(clean).as_posix(), path.read_bytes())
    place = place_at(cloud.opening_address)
    assert list(examine(place, Scope())) == []
    victim = next(clean.rglob("*.ndz")).relative_to(clean).as_posix()
    store.delete(victim)
    store.put(victim, b"x")
    assert {finding.key for finding in examine(place, Scope())} >= {victim}


def test_what_was_put_is_read_at_its_address(cloud: CloudArchive, place: Place) -> None:
    assert place.read("a/one") == b"1"
    assert archive_at(cloud.opening_address).get("a/one") == b"1"


@pytest.mark.usefixtures("google")
@pytest.mark.parametrize("kind", ["azure", "gs"])
def test_what_is_not_there_is_an_error_of_reading(kind: str, azurite: Azurite, tmp_path: Path) -> None:
    file = tmp_path / "connection"
    file.write_text(azurite.connection_string)
    url = f"azure://{ACCOUNT}/nobody/x?connection_string_file={file}" if kind == "azure" else "gs://nobody/x"
    broken = place_at(url)
    for reading in (lambda: broken.read("a"), lambda: broken.names("a"), lambda: list(broken.chunks("a"))):
        with pytest.raises(OSError, match=r"[Nn]ot (exist|[Ff]ound)|404"):
            reading()


def test_policy_and_hold_of_a_blob_guard_it(tmp_path: Path) -> None:
    with running_account() as account:
        store = container_store(account.client(), "locked", clock=lambda: NOW)
        store.put(KEY, b"sealed")
        store.swap("acme/head.json", None, b"1")
        file = tmp_path / "connection"
        file.write_text(account.connection_string)
        place = azure_container.Container(ACCOUNT, "sealed", "archive/of-all", str(file))
        until = NOW + dt.timedelta(days=30)
        assert place.guard(KEY) == Guard(until, held=False)
        store.hold(KEY, on=True)
        assert place.guard(KEY) == Guard(until, held=True)
        assert place.guard("acme/head.json") == Guard(None, held=False)
        assert place.guard("none") is None


@pytest.mark.usefixtures("google")
def test_the_retention_of_an_object_guards_it() -> None:
    store = gcs_store("locked", clock=lambda: NOW)
    store.put(KEY, b"sealed")
    place = google_bucket.GoogleBucket(store._settings.bucket, "archive/of-all")
    assert place.guard(KEY) == Guard(NOW + dt.timedelta(days=30), held=False)


@pytest.mark.parametrize(
    "address",
    [
        "azure://account",
        "azure://account/container/x?lock=none",
        "gs://bucket/x?credentials=y",
        "gs://X/y",
        "http://x/y",
    ],
)
def test_addresses_of_nothing_are_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="opening archive"):
        archive_at(address)


def test_an_archive_lies_in_one_place() -> None:
    bucket = {"bucket": "sealed"}
    with pytest.raises(ValueError, match="one of directory, s3, azure and gcs"):
        ArchiveSettings.model_validate({"azure": {"account": "acme", "container": "sealed"}, "gcs": bucket})
