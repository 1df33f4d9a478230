"""The keys of pseudonyms: made once, never within the archive, never readable by others, never told in an error."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from ingest.pseudonyms.key_file import add_key, open_pseudonyms, open_where_possible, read_keys
from ingest.pseudonyms.settings import PseudonymSettings
from ingest.schema.errors import ConfigError

NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)


def on(file: Path) -> PseudonymSettings:
    return PseudonymSettings(namespaces=("acme",), key_file=file)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file, archive = tmp_path / "keys" / "keys.json", tmp_path / "archive"
    made = add_key(file, archive, NOW, new=True)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [key.id for key in open_pseudonyms(on(file), tmp_path, archive).keys] == [made.id]
    with pytest.raises(ConfigError, match="there is one"):
        add_key(file, archive, NOW, new=True)


def test_a_newer_key_makes_the_tokens_and_the_older_one_still_reveals(tmp_path: Path) -> None:
    file, archive = tmp_path / "keys.json", tmp_path / "archive"
    old = add_key(file, archive, NOW, new=True)
    newer = add_key(file, archive, NOW, new=False)
    opened = open_pseudonyms(on(file), tmp_path, archive)
    assert [key.id for key in opened.keys] == [newer.id, old.id]
    assert opened.reveal("acme", old.token("acme", "alice")) == ("user", "alice")
    assert opened.asked("acme", "alice") == ("alice", newer.token("acme", "alice"), old.token("acme", "alice"))


def test_off_needs_no_key_and_on_refuses_to_start_without(tmp_path: Path) -> None:
    assert not open_pseudonyms(PseudonymSettings(), tmp_path, tmp_path / "archive").covers("acme")
    with pytest.raises(ConfigError, match="No such file"):
        open_pseudonyms(on(tmp_path / "none"), tmp_path, tmp_path / "archive")
    assert open_where_possible(on(tmp_path / "none"), tmp_path, tmp_path / "archive").keys == ()


def test_keys_that_others_may_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    add_key(file, tmp_path / "archive", NOW, new=True)
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="0640"):
        read_keys(file, tmp_path / "archive")


def test_keys_within_the_archive_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    (archive / "keys").mkdir(parents=True)
    with pytest.raises(ConfigError, match="within the archive"):
        add_key(archive / "keys" / "keys.json", archive, NOW, new=True)
    (tmp_path / "link").symlink_to(archive / "keys")
    with pytest.raises(ConfigError, match="within the archive"):
        open_pseudonyms(on(tmp_path / "link" / "keys.json"), tmp_path, archive)


@pytest.mark.parametrize("damage", ["", "{}", '{"keys": []}', '{"keys": [{"created": "", "secret": "c2VjcmV0"}]}'])
def test_a_damaged_file_is_refused_and_not_quoted(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(damage)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="damaged") as caught:
        read_keys(file, tmp_path / "archive")
    assert "secret" not in str(caught.value)


def test_the_id_of_a_key_is_not_a_part_of_it(tmp_path: Path) -> None:
    made = add_key(tmp_path / "keys.json", tmp_path / "archive", NOW, new=True)
    kept = json.loads((tmp_path / "keys.json").read_text())["keys"][0]["secret"]
    assert made.id not in kept


def test_no_kinds_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="kinds is empty"):
        PseudonymSettings(namespaces=("acme",), kinds=())
