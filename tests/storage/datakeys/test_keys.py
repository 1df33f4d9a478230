"""One random key per namespace and month, wrapped in a table; rotated without touching it, destroyed for ever."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from ingest.schema.errors import ConfigError, IntegrityError, Refused
from storage.datakeys.keys import DataKeys
from storage.datakeys.opening import open_data_keys
from storage.datakeys.providers.file import FileProvider
from storage.settings import ArchiveSettings, EncryptionSettings, S3ArchiveSettings
from tests.storage.archive.samples import START
from tests.storage.datakeys.samples import made_keys


def later(days: int) -> dt.datetime:
    return START + dt.timedelta(days=days)


def test_each_namespace_and_month_has_a_key_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    keys = made_keys(tmp_path)
    first = keys.for_sealing("acme", "2026-03")
    assert keys.for_sealing("acme", "2026-03") == first
    assert made_keys(tmp_path).for_sealing("acme", "2026-03") == first
    others = [keys.for_sealing("acme", "2026-04"), keys.for_sealing("globex", "2026-03")]
    assert len({first.body, *(other.body for other in others)}) == 3
    assert first.id.startswith("2026-03-")


def test_the_table_has_no_key_in_the_clear(tmp_path: Path) -> None:
    key = made_keys(tmp_path).for_sealing("acme", "2026-03")
    (path,) = (tmp_path / "table").rglob("*.json")
    raw = path.read_bytes()
    assert key.body not in raw
    assert key.body.hex().encode() not in raw
    assert repr(key) == f"DataKey({key.id!r})"


def test_a_destroyed_key_is_not_used_again_by_a_process_that_had_it_open(tmp_path: Path) -> None:
    keys = made_keys(tmp_path)
    first = keys.for_sealing("acme", "2026-03")
    made_keys(tmp_path, now=lambda: later(40)).destroy("acme", first.id)
    assert keys.opened("acme", first.id) is None
    assert keys.for_sealing("acme", "2026-03").body != first.body


@pytest.mark.parametrize(("days", "refused"), [(0, True), (30, True), (31, True), (32, False)])
def test_a_key_in_use_can_not_be_destroyed(tmp_path: Path, days: int, *, refused: bool) -> None:
    key = made_keys(tmp_path).for_sealing("acme", "2026-03")
    keys = made_keys(tmp_path, now=lambda: later(days))  # START is the first of March, at noon
    if refused:
        with pytest.raises(Refused, match="month is not over"):
            keys.destroy("acme", key.id)
    else:
        keys.destroy("acme", key.id)
    assert (keys.opened("acme", key.id) is None) is not refused


def test_rotation_changes_the_wrapping_and_not_the_key(tmp_path: Path) -> None:
    keys = made_keys(tmp_path)
    bodies = [keys.for_sealing("acme", month).body for month in ("2026-02", "2026-03")]
    before = list(keys.entries())
    assert not any(keys.rewrap(entry) for entry in before)
    assert keys.current is not None
    keys.current.renew()
    assert all(keys.rewrap(entry) for entry in before)
    after = list(keys.entries())
    assert {entry.kek for entry in before}.isdisjoint({entry.kek for entry in after})
    for old in {entry.kek for entry in before}:
        (tmp_path / "keks" / f"{old}.kek").unlink()
    assert [made_keys(tmp_path).for_sealing("acme", month).body for month in ("2026-02", "2026-03")] == bodies


@pytest.mark.parametrize("back", [dt.timedelta(0), dt.timedelta(days=3)])
def test_a_renewed_wrapping_key_is_the_current_one_on_a_clock_that_was_set_back(
    tmp_path: Path, back: dt.timedelta
) -> None:
    FileProvider(tmp_path, clock=lambda: later(3)).renew()
    provider = FileProvider(tmp_path, clock=lambda: later(3) - back)
    for _ in range(5):
        assert provider.renew() == provider.current()


def test_a_file_of_another_name_among_the_wrapping_keys_is_told_before_it_becomes_the_current(tmp_path: Path) -> None:
    (tmp_path / "backup.kek").write_text("00" * 32)
    with pytest.raises(ConfigError, match="a name that Skytrail does not give"):
        FileProvider(tmp_path).renew()


def test_a_table_without_its_wrapping_keys_is_refused_before_anything_is_sealed(tmp_path: Path) -> None:
    made_keys(tmp_path).for_sealing("acme", "2026-03")
    for path in (tmp_path / "keks").iterdir():
        path.unlink()
    with pytest.raises(ConfigError, match="reading a wrapping key"):
        made_keys(tmp_path).check()


def test_a_damaged_entry_is_named(tmp_path: Path) -> None:
    key = made_keys(tmp_path).for_sealing("acme", "2026-03")
    path = tmp_path / "table" / "acme" / f"{key.id}.json"
    path.chmod(0o600)
    path.write_text("{}")
    with pytest.raises(IntegrityError, match="key table"):
        made_keys(tmp_path).opened("acme", key.id)


def opened(tmp_path: Path, archive: Path | None = None, **own: object) -> DataKeys | None:
    settings = ArchiveSettings(encryption=EncryptionSettings(**own))  # type: ignore[arg-type]
    return open_data_keys(settings, archive or tmp_path / "archive", tmp_path / "state")


def test_nothing_is_opened_where_nothing_is_encrypted(tmp_path: Path) -> None:
    assert opened(tmp_path) is None


def test_what_was_encrypted_stays_readable_when_encryption_is_switched_off(tmp_path: Path) -> None:
    keys = opened(tmp_path, provider="file")
    assert keys is not None
    assert keys.seals
    key = keys.for_sealing("acme", "2026-03")
    off = opened(tmp_path)
    assert off is not None
    assert not off.seals
    assert off.opened("acme", key.id) == key


@pytest.mark.parametrize("setting", ["table", "kek_directory"])
@pytest.mark.parametrize("place", ["archive", "archive/keys", "."])
def test_keys_and_archive_in_each_other_are_refused(tmp_path: Path, setting: str, place: str) -> None:
    with pytest.raises(ConfigError, match="lie in each other"):
        opened(tmp_path, provider="file", **{setting: tmp_path / place})


def test_a_link_into_the_archive_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "elsewhere").symlink_to(tmp_path / "archive")
    with pytest.raises(ConfigError, match="lie in each other"):
        opened(tmp_path, provider="file", table=tmp_path / "elsewhere" / "table")


def test_beside_an_archive_in_a_bucket_any_directory_will_do(tmp_path: Path) -> None:
    settings = ArchiveSettings(s3=S3ArchiveSettings(bucket="abc"), encryption=EncryptionSettings(provider="file"))
    assert open_data_keys(settings, tmp_path, tmp_path) is not None


def test_kms_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="kms_key"):
        EncryptionSettings(provider="aws_kms")
