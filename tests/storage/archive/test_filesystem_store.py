from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingest.schema.errors import Refused, StoreUnavailable
from storage.archive.stores.filesystem import STALE_STAGING_S, FilesystemStore

REPOSITORY = Path(__file__).parents[3]
WRITER = """
import sys, hashlib
from pathlib import Path
from storage.archive.objects import put_object
from storage.archive.stores.filesystem import FilesystemStore
store = FilesystemStore(Path(sys.argv[1]))
number = 0
while True:
    put_object(store, "acme", b"%d" % number * 200_000)
    number += 1
    sys.stdout.write("x"); sys.stdout.flush()
"""


def test_objects_are_read_only_and_folders_closed_to_others(tmp_path: Path):
    FilesystemStore(tmp_path / "archive").put("acme/obj/1", b"x")
    assert stat.S_IMODE((tmp_path / "archive/acme/obj/1").stat().st_mode) == 0o440
    assert stat.S_IMODE((tmp_path / "archive/acme/obj").stat().st_mode) & 0o007 == 0


def test_without_the_right_to_delete_nothing_is_deleted(tmp_path: Path):
    store = FilesystemStore(tmp_path / "archive")
    store.put("acme/obj/1", b"x")
    with pytest.raises(Refused, match="deleting"):
        store.delete("acme/obj/1")
    assert store.get("acme/obj/1") == b"x"


def test_a_place_that_is_no_directory_is_named_with_what_to_do(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    store = FilesystemStore(tmp_path / "file")
    for attempt in (
        lambda: store.put("a/b", b""),
        store.probe,
        lambda: store.get("a/b"),
        lambda: store.swap("a/b", None, b""),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            attempt()
        assert "file" in caught.value.where
        assert "archive.directory" in caught.value.mend


def test_the_probe_says_what_a_filesystem_cannot_promise(tmp_path: Path):
    assert any("root" in sentence for sentence in FilesystemStore(tmp_path / "archive").probe())


def test_the_probe_clears_only_old_leftovers(tmp_path: Path):
    store = FilesystemStore(tmp_path / "archive")
    store.put("acme/obj/1", b"x")
    old, young = (tmp_path / "archive/.staging" / name for name in ("old", "young"))
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    long_ago = time.time() - STALE_STAGING_S - 60
    os.utime(old, (long_ago, long_ago))
    store.probe()
    assert (old.exists(), young.exists()) == (False, True)


def test_a_writer_that_is_killed_leaves_only_whole_objects(tmp_path: Path):
    store = FilesystemStore(tmp_path / "archive")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "archive")], stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    assert process.stdout is not None
    acknowledged = len(process.stdout.read(5))
    process.send_signal(signal.SIGKILL)
    acknowledged += len(process.stdout.read())
    process.wait(timeout=30)
    process.stdout.close()
    keys = list(store.keys("acme/obj/"))
    assert acknowledged <= len(keys) <= acknowledged + 1
    for key in keys:
        assert hashlib.sha256(store.get(key) or b"").hexdigest() == key.rpartition("/")[2]
