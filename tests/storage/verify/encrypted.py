"""A small archive that is encrypted, with its keys beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from storage.datakeys.keys import DataKeys
from tests.storage.datakeys.samples import Opener, made_keys
from tests.storage.verify.ledger.samples import MadeArchive, writable


def encrypted(root: Path, settings: dict[str, Any] | None = None) -> MadeArchive:
    """Fourteen messages in three batches, all in ledgers; keys lie in the same folder as the archive."""
    made = MadeArchive(root, settings)
    made.data_keys = made_keys(root / "datakeys")
    made.seal(14, [3, 8])
    for namespace in ("acme", "globex", "unreadable"):
        made.enter(namespace)
    made.beat("acme", 30)
    writable(made.root)
    return made


def keys_of(made: MadeArchive) -> DataKeys:
    """As another process has them."""
    return made_keys(made.root.parent / "datakeys", now=made.clock)


def opener(made: MadeArchive, refuses: str = "") -> Opener:
    """The keys as the verifier takes them."""
    return Opener(keys_of(made), refuses)


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> MadeArchive:
    return encrypted(tmp_path_factory.mktemp("encrypted"))


@pytest.fixture
def made(clean: MadeArchive, tmp_path: Path) -> MadeArchive:
    """A copy to spoil."""
    shutil.copytree(clean.root.parent, tmp_path / "copy")
    copy = MadeArchive(tmp_path / "copy")
    copy.clock.now = clean.clock.now
    return copy
