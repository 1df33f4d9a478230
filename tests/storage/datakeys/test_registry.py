"""Providers are found where they lie: a file more is a provider more."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

import storage.datakeys.providers
from ingest.schema.errors import ConfigError
from storage.datakeys import registry
from storage.datakeys.provider import open_provider
from storage.datakeys.settings import EncryptionSettings, _EncryptionSettings

PROVIDER = """
class Provider:
    name = "vault_of_acme"

    def __init__(self, shelf):
        self.shelf = shelf


def open_provider(settings, state_dir):
    return Provider(settings.vault_of_acme.shelf)
"""
SETTINGS = """
from pydantic import BaseModel


class AcmeSettings(BaseModel, extra="forbid", frozen=True):
    shelf: int


SETTINGS = AcmeSettings
"""


@pytest.fixture
def with_one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_EncryptionSettings]]:
    for path in registry._FOLDER.glob("[a-z]*.py"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "vault_of_acme.py").write_text(PROVIDER)
    (tmp_path / "vault_of_acme_settings.py").write_text(SETTINGS)
    monkeypatch.setattr(registry, "_FOLDER", tmp_path)
    monkeypatch.setattr(storage.datakeys.providers, "__path__", [*storage.datakeys.providers.__path__, str(tmp_path)])
    registry.all_providers.cache_clear()
    registry.provider_tables.cache_clear()
    try:
        yield registry.with_providers(_EncryptionSettings)
    finally:
        registry.all_providers.cache_clear()
        registry.provider_tables.cache_clear()


def test_a_file_more_is_a_provider_more(with_one_more: type[_EncryptionSettings], tmp_path: Path) -> None:
    told = {"provider": "vault_of_acme", "vault_of_acme": {"shelf": 7}}
    settings = with_one_more.model_validate(told)
    assert list(settings.tables) == ["vault_of_acme"]
    assert open_provider("vault_of_acme", settings, tmp_path).shelf == 7  # type: ignore[attr-defined]
    with pytest.raises(ValidationError, match="needs the table"):
        with_one_more.model_validate({"provider": "vault_of_acme"})


@pytest.mark.parametrize("name", ["azure_key_vault_settings", "none", "", "../file", "vault_of_acme"])
def test_what_is_no_provider_is_not_opened(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is none of this name"):
        open_provider(name, EncryptionSettings(), tmp_path)
    if name != "none":
        with pytest.raises(ValidationError):
            EncryptionSettings(provider=name)


def test_settings_of_a_provider_may_stand_beside_another_one() -> None:
    table = {"key": "https://acme.vault.azure.net/keys/archive"}
    settings = EncryptionSettings.model_validate({"provider": "file", "azure_key_vault": table})
    own: BaseModel = settings.tables["azure_key_vault"]
    assert settings.own("azure_key_vault", type(own)) is own
    assert pickle.loads(pickle.dumps(settings)) == settings  # worker processes get them so


def test_settings_are_read_without_the_libraries_of_vendors() -> None:
    code = "import sys, storage.settings; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "storage.datakeys.providers.azure_key_vault_settings" in found
    assert [name for name in found if name.partition(".")[0] in {"azure", "google", "grpc", "boto3", "msal"}] == []
