"""The seal role tries its data keys before it seals anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.schema.errors import ConfigError
from storage.settings import ArchiveSettings, EncryptionSettings
from streams.ledger import ready_data_keys

CLEAR = ArchiveSettings()
ENCRYPTED = ArchiveSettings(encryption=EncryptionSettings(provider="file"))


def test_in_the_clear_there_is_nothing_to_try(tmp_path: Path) -> None:
    assert ready_data_keys(CLEAR, tmp_path / "archive", tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_the_first_start_makes_a_wrapping_key_and_a_later_one_needs_it(tmp_path: Path) -> None:
    keys = ready_data_keys(ENCRYPTED, tmp_path / "archive", tmp_path)
    assert keys is not None
    (kek,) = (tmp_path / "datakeys" / "keks").iterdir()
    key = keys.for_sealing("acme", "2026-03")
    again = ready_data_keys(ENCRYPTED, tmp_path / "archive", tmp_path)
    assert again is not None
    assert again.for_sealing("acme", "2026-03") == key
    kek.unlink()
    with pytest.raises(ConfigError, match="reading a wrapping key"):
        ready_data_keys(ENCRYPTED, tmp_path / "archive", tmp_path)
