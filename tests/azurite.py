"""A Blob Storage for tests: Azurite, Microsoft's emulator, from npm, installed once into the cache.

Started with `--skipApiVersionCheck`: the SDK speaks a newer version of the API than Azurite knows, and without it every
call is a 400. What it does not show: immutability, roles, throttling (docs/sources.md).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from skytrail.local.engines import default_cache

VERSION = "3.37.0"
ACCOUNT = "devstoreaccount1"
# Published by Microsoft for its emulators; opens nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_INSTALL_S = 600
_START_S = 60


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running Blob Storage."""

    port: int

    @property
    def account_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        parts = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.account_url};"
        return f"DefaultEndpointsProtocol=http;{parts}"


@pytest.fixture(scope="session")
def azurite_program() -> Path:
    """Azurite as npm installs it; skipped, with the reason, on a machine without npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("Azurite (npm) is not to be had here: node and npm are not installed")
    return _installed(npm).parents[4] / ".bin" / "azurite-blob"


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """Azurite that answers; skipped, with the reason, on a machine without npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Azurite (npm) is not to be had here: node and npm are not installed")
    program = _installed(npm)
    directory = tmp_path_factory.mktemp("azurite")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "-l", str(directory)]
    options += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with (directory / "azurite.log").open("wb") as log:
        process = subprocess.Popen([node, str(program), *options], stdout=log, stderr=log)
    try:
        _wait(process, port, directory / "azurite.log")
        yield Azurite(port)
    finally:
        process.terminate()
        process.wait(20)


def _installed(npm: str) -> Path:
    home = default_cache(os.environ) / f"azurite-{VERSION}"
    program = home / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    if program.exists():
        return program
    beside = home.with_name(f".{home.name}.{os.getpid()}")
    beside.mkdir(parents=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(beside)]
    subprocess.run([*command, f"azurite@{VERSION}"], check=True, timeout=_INSTALL_S, capture_output=True)
    with contextlib.suppress(OSError):  # another run was faster
        beside.rename(home)
    shutil.rmtree(beside, ignore_errors=True)
    return program


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, log.read_text("utf-8", "replace")
        assert time.monotonic() < deadline, "Azurite does not listen"
        time.sleep(0.1)
