"""A small clean archive with three chains, one object, and a copy of it to spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from storage.archive.objects import put_object
from tests.storage.archive.samples import Clock, open_store, seal_in_batches, stream

MESSAGES = stream(14)


def make_archive(root: Path) -> None:
    """Fourteen messages in three batches, and a whole object; every file can be written."""
    store = open_store(root)
    seal_in_batches(store, MESSAGES, [3, 8], Clock())
    put_object(store, "acme", b"a huge record")
    for path in root.rglob("*"):
        path.chmod(0o750 if path.is_dir() else 0o640)


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clean") / "archive"
    make_archive(root)
    return root


@pytest.fixture
def root(clean: Path, tmp_path: Path) -> Path:
    shutil.copytree(clean, tmp_path / "archive")
    return tmp_path / "archive"
