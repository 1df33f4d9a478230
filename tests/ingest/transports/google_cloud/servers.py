"""Servers of Google's protocols, built with Go once and kept in the user's cache; each test starts its own.

Without Go, what needs them is skipped and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PSTEST = Path(__file__).parents[1] / "pubsub" / "pstest"
_FAKE_GCS = "github.com/fsouza/fake-gcs-server@v1.56.1"
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
        # Built beside the target and renamed: two sessions that build at once do not meet.
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        _run([go, "build", "-o", str(partial), "."], PSTEST, {})
        partial.replace(target)
    return target


def built_fake_gcs() -> Path:
    """A Cloud Storage server in memory (https://github.com/fsouza/fake-gcs-server)."""
    go = _go()
    name, _, version = _FAKE_GCS.rpartition("/")[2].partition("@")
    target = cache_directory() / f"{name}-{version}"
    if not target.exists():
        directory = target.with_name(f"{target.name}.{os.getpid()}")
        directory.mkdir(parents=True)
        _run([go, "install", _FAKE_GCS], directory, {"GOBIN": str(directory)})
        (directory / name).replace(target)
        directory.rmdir()
    return target


def _run(command: list[str], directory: Path, environment: dict[str, str]) -> None:
    cache_directory().mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.stderr[-2000:]}")


@dataclass(frozen=True, slots=True)
class PubSub:
    """A running Pub/Sub server.

    Attributes:
        address: host:port.
        status: host:port that tells how many messages nobody has acknowledged.
    """

    address: str
    status: str

    async def unacknowledged(self) -> int:
        """Messages that nobody has acknowledged."""
        reader, writer = await asyncio.open_connection(*self.status.split(":"))
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return int(answer.rpartition(b"\r\n\r\n")[2])


@contextlib.asynccontextmanager
async def running_pubsub(*faults: str) -> AsyncIterator[PubSub]:
    """A Pub/Sub server.

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
        address, status = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().split()
        yield PubSub(address, status)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def running_pstest(*faults: str) -> AsyncIterator[str]:
    """The address of a Pub/Sub server; see `running_pubsub`."""
    async with running_pubsub(*faults) as server:
        yield server.address


@contextlib.asynccontextmanager
async def running_fake_gcs(pubsub: str = "", topic: str = "") -> AsyncIterator[str]:
    """A Cloud Storage server; its address, http://…

    Args:
        pubsub: Address of a Pub/Sub server that is told what happens to objects.
        topic: `projects/…/topics/…` there, which must exist.
    """
    binary = await asyncio.to_thread(built_fake_gcs)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    arguments = ["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    arguments += ["-public-host", f"127.0.0.1:{port}", "-external-url", address, "-log-level", "warn"]
    if topic:
        _, project, _, name = topic.split("/")
        arguments += ["-event.pubsub-project-id", project, "-event.pubsub-topic", name]
        arguments += ["-event.list", "finalize,delete,metadataUpdate"]
    process = await asyncio.create_subprocess_exec(
        str(binary), *arguments, env=os.environ | ({"PUBSUB_EMULATOR_HOST": pubsub} if pubsub else {})
    )
    try:
        await _listening(port, process)
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None, "the server ended"
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
