"""Fetching released files by coordinate and refusing any whose checksum is not the one we pinned.

The pip package `jgo` knows the repository and how to ask it; what it brings is staged, verified, then renamed into the
cache under its own checksum. The cache is shared by all homes of a machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ingest.schema.errors import EngineError

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is (bytes, files or steps)."""

LOCK_FILE = "engines.lock.toml"
PARALLEL_DOWNLOADS = 6
ATTEMPTS = 3
NAMES_SHOWN = 5


@dataclass(frozen=True)
class Artifact:
    """One released file: `group:artifact:version[:extension]`, its size in bytes and its SHA-256."""

    coordinate: str
    size: int
    sha256: str

    @property
    def extension(self) -> str:
        """`jar` unless the coordinate says otherwise."""
        _, _, _, *extension = self.coordinate.split(":")
        return extension[0] if extension else "jar"

    @property
    def filename(self) -> str:
        """The name under which it was released."""
        _, name, version = self.coordinate.split(":")[:3]
        return f"{name}-{version}.{self.extension}"


def pinned(distribution: str) -> tuple[Artifact, ...]:
    """The files of a distribution (`kafka-4.1.1`, `elasticsearch-8.19.8`) as our lock file pins them.

    Raises:
        EngineError: The lock file knows no such distribution.
    """
    known = tomllib.loads(files("skytrail.local").joinpath(LOCK_FILE).read_text(encoding="utf-8"))
    if distribution not in known:
        raise EngineError(
            f"looking for the checksums of {distribution}",
            where=LOCK_FILE,
            mend=f"choose one of {', '.join(sorted(known))}, or pin it with `python -m skytrail.local.lock`",
        )
    return tuple(Artifact(**row) for row in known[distribution]["artifact"])


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(artifact: Artifact, path: Path) -> None:
    """Compare a file with its pin.

    Raises:
        EngineError: It is not the pinned file.
    """
    found = sha256_of(path)
    if found != artifact.sha256:
        raise EngineError(
            f"refusing {artifact.coordinate}: its SHA-256 is {found}, pinned is {artifact.sha256}",
            where=str(path),
            mend="the repository or the path to it served another file than the one released; do not run it. "
            "Try again from a network you trust",
        )


def cached_path(artifact: Artifact, cache: Path) -> Path:
    """Where a verified copy of the file lies, or will lie."""
    return cache / "artifacts" / artifact.sha256[:16] / artifact.filename


class Fetcher:
    """Brings what is missing into the cache. The caller holds the lock of the cache."""

    def __init__(self, cache: Path, progress: Progress) -> None:
        self._cache = cache
        self._progress = progress
        self._counting = threading.Lock()
        self._done = 0
        self._total = 0
        self._label = ""

    def fetch(self, label: str, artifacts: Sequence[Artifact]) -> list[Path]:
        """Return verified paths of `artifacts`, downloading those that the cache lacks.

        Raises:
            EngineError: Something can't be fetched (all missing names are told), or is not the pinned file.
        """
        missing = [artifact for artifact in artifacts if not cached_path(artifact, self._cache).exists()]
        self._label, self._done, self._total = label, 0, sum(artifact.size for artifact in missing)
        if missing:
            self._fetch_missing(missing)
        return [cached_path(artifact, self._cache) for artifact in artifacts]

    def _fetch_missing(self, missing: Sequence[Artifact]) -> None:
        self._progress(self._label, 0, self._total)
        staging = Path(tempfile.mkdtemp(prefix="staging-", dir=self._cache))
        pool = ThreadPoolExecutor(PARALLEL_DOWNLOADS)
        try:
            failures = list(pool.map(lambda artifact: self._fetch_one(artifact, staging), missing))
        finally:
            pool.shutdown(cancel_futures=True)  # else an interrupt waits for all the rest
            shutil.rmtree(staging, ignore_errors=True)
        refused = [failure for failure in failures if isinstance(failure, EngineError)]
        if refused:
            raise refused[0]
        lost = [(artifact, failure) for artifact, failure in zip(missing, failures, strict=True) if failure]
        if lost:
            raise _unreachable([artifact.coordinate for artifact, _ in lost], lost[0][1])

    def _fetch_one(self, artifact: Artifact, staging: Path) -> Exception | None:
        """None when the file is in the cache, else why not: one failure must not hide the others."""
        failure: Exception | None = None
        for attempt in range(ATTEMPTS):
            try:
                brought = download(artifact.coordinate, staging / f"{artifact.sha256[:16]}-{attempt}", self._count)
                verify(artifact, brought)
            except EngineError as exc:
                return exc
            except (OSError, RuntimeError) as exc:
                failure = exc
                continue
            final = cached_path(artifact, self._cache)
            final.parent.mkdir(parents=True, exist_ok=True)
            brought.chmod(0o644)
            brought.replace(final)
            return None
        return failure

    @contextlib.contextmanager
    def _count(self, _name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield self._advance

    def _advance(self, count: int) -> None:
        with self._counting:
            self._done = min(self._done + count, self._total)
            self._progress(self._label, self._done, self._total)


def download(
    coordinate: str,
    staging: Path,
    count: Callable[[str, int], contextlib.AbstractContextManager[Callable[[int], None]]] | None = None,
) -> Path:
    """Download one coordinate into the empty directory `staging`, unverified.

    Raises:
        EngineError: The resolver is not installed.
        OSError: The network does not answer.
        RuntimeError: The repository does not have it.
    """
    try:
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 -- of the extra "local"
    except ImportError as exc:
        raise EngineError(
            "looking for the resolver of the local engines: the package jgo is not installed",
            mend='install the extra "local": `uv sync --extra local` or `pip install "skytrail[local]"`',
        ) from exc
    group, name, version, *extension = coordinate.split(":")
    context = MavenContext(
        resolver=PythonResolver(progress_callback=count), repo_cache=staging, local_repos=[], timeout=30
    )
    component = context.project(group, name).at_version(version)
    return component.artifact(packaging=extension[0] if extension else "jar").resolve()


def _unreachable(names: Sequence[str], cause: Exception | None) -> EngineError:
    more = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return EngineError(
        f"fetching released files that the cache lacks: {shown} ({type(cause).__name__}: {cause})",
        mend="connect this machine to its package repository once (proxies are taken from HTTPS_PROXY), copy the cache "
        "directory from a machine that has it, or use `skytrail up --docker`",
    )
