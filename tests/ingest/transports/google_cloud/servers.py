"""Servers of Google's protocols, built with Go once and kept in the user's cache; each test starts its own.

Without Go, what needs them is skipped and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

PSTEST = Path(__file__).parents[1] / "pubsub" / "pstest"
_BUILD_S = 900


def cache_directory() -> Path:
    """Where built servers are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skytrail-tests"


def _go() -> str:
    found = shutil.which("go")
    if found is None:
        pytest.skip("Go is not installed, and this server is built with it (https://go.dev/dl/)")
    return found


def built_pstest() -> Path:
    """Google's in-memory Pub/Sub server (cloud.google.com/go/pubsub/v2/pstest) with our flags for faults."""
    go = _go()
    sources = sorted(file for file in PSTEST.iterdir() if file.is_file())
    version = hashlib.sha256(b"\0".join(file.read_bytes() for file in sources)).hexdigest()[:16]
    target = cache_directory() / f"pstest-{version}"
    if not target.exists():
        _build([go, "build", "-o"], target, ["."], PSTEST)
    return target


def _build(command: list[str], target: Path, packages: list[str], directory: Path) -> None:
    """Build beside the target and rename: two sessions that build at once do not meet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    done = subprocess.run(
        [*command, str(partial), *packages],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"building {target.name}: {done.stderr[-2000:]}")
    partial.replace(target)


@contextlib.asynccontextmanager
async def running_pstest(*faults: str) -> AsyncIterator[str]:
    """A Pub/Sub server; its address.

    Args:
        faults: `METHOD=CODE*TIMES`: the first calls of a method are answered with a gRPC status code.
    """
    binary = await asyncio.to_thread(built_pstest)
    arguments = [part for fault in faults for part in ("-fail", fault)]
    process = await asyncio.create_subprocess_exec(
        str(binary), *arguments, stdout=asyncio.subprocess.PIPE, stderr=sys.stderr.fileno()
    )
    assert process.stdout
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
