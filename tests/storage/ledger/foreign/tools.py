"""Programs of others that read and sign what we write, built with Go once and kept in the cache of the local engines.

- fsck: Tessera's check of a log, unmodified (github.com/transparency-dev/tessera/cmd/fsck).
- notecheck: a page of ours around golang.org/x/mod/sumdb/note, github.com/transparency-dev/formats and
  github.com/transparency-dev/merkle, which verify notes and proofs.
- omniwitness: the witness of github.com/transparency-dev/witness. One function of a dependency that no proxy serves is
  stubbed; only its endpoint `sign-subtree` needs it.

Where one can't be built, what needs it is skipped and says which.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from skytrail.local.engines import default_cache

HERE = Path(__file__).parent
FSCK = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"
MERKLE = "github.com/transparency-dev/merkle@v0.0.2"
OMNIWITNESS = "github.com/transparency-dev/witness/cmd/omniwitness"
_BUILD_S = 1500


@functools.cache
def fsck() -> Path:
    """Tessera's fsck."""

    def build(directory: Path) -> None:
        _go(directory, "install", FSCK, GOBIN=str(directory))

    return _built("fsck", FSCK.encode(), build)


@functools.cache
def notecheck() -> Path:
    """Verifies a note with keys; prints those that did."""
    sources = HERE / "notecheck"

    def build(directory: Path) -> None:
        _go(sources, "build", "-o", str(directory / "notecheck"), ".")

    return _built("notecheck", _content(sources), build)


@functools.cache
def omniwitness() -> Path:
    """A witness of other authors."""
    sources = HERE / "omniwitness"

    def build(directory: Path) -> None:
        for name in ("go.mod", "go.sum", "tools.go"):
            shutil.copy(sources / name, directory / name)
        merkle = json.loads(_go(directory, "mod", "download", "-json", MERKLE))["Dir"]
        shutil.copytree(merkle, directory / "merkle-local", copy_function=shutil.copyfile)
        for path in (directory / "merkle-local").rglob("*"):
            path.chmod(0o755)
        shutil.copy(sources / "subtree.go.txt", directory / "merkle-local" / "proof" / "subtree.go")
        _go(directory, "build", "-o", "omniwitness", OMNIWITNESS)

    return _built("omniwitness", _content(sources), build)


def _built(name: str, version: bytes, build: Callable[[Path], None]) -> Path:
    """Build in a folder of its own and rename: two sessions that build at once do not meet."""
    target = default_cache(os.environ) / f"{name}-{hashlib.sha256(version).hexdigest()[:16]}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"skytrail-{name}-") as directory:
            try:
                build(Path(directory))
            except (OSError, subprocess.SubprocessError) as exc:
                told = getattr(exc, "stderr", b"") or b""
                pytest.skip(f"{name} can't be built here: {exc} {told.decode(errors='replace')[-500:]}")
            partial = target.with_name(f"{target.name}.{os.getpid()}")
            shutil.copy(Path(directory) / name, partial)
            partial.replace(target)
    return target


def _go(directory: Path, *arguments: str, **environment: str) -> bytes:
    found = shutil.which("go")
    if found is None:
        raise FileNotFoundError("Go is not installed (https://go.dev/dl/)")
    return subprocess.run(
        [found, *arguments],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=_BUILD_S,
        check=True,
    ).stdout


def _content(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(folder.iterdir()))
