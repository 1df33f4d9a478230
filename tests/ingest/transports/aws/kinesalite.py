"""Kinesis on this machine: kinesalite, which closes shards as AWS does; npm installs it once into the user's cache.

Without npm, what needs it is skipped and says so.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_VERSION = "3.3.3"
_INSTALL_S = 300
_SERVE = """
const server = require('kinesalite')({createStreamMs: 20, deleteStreamMs: 20, updateStreamMs: 20, shardLimit: 1000})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
"""


def _installed() -> Path:
    target = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skytrail-tests" / f"kinesalite-{_VERSION}"
    )
    if target.exists():
        return target
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed, and kinesalite comes by it (https://nodejs.org/en/download)")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=target.name, dir=target.parent))  # two sessions at once do not meet
    done = subprocess.run(
        [npm, "install", "--prefix", str(beside), "--no-audit", "--no-fund", f"kinesalite@{_VERSION}"],
        capture_output=True,
        text=True,
        timeout=_INSTALL_S,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"installing kinesalite: {done.stderr[-2000:]}")
    try:
        beside.rename(target)
    except OSError:
        shutil.rmtree(beside)  # another session was faster
    return target


@functools.cache
def kinesalite() -> str:
    """The address of the server, started when first asked for; streams of one test stay apart by their names."""
    directory = _installed()
    node = shutil.which("node")
    assert node, "npm is here and node is not"
    process = subprocess.Popen([node, "-e", _SERVE], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    atexit.register(process.wait)
    atexit.register(process.terminate)
    assert process.stdout
    port = process.stdout.readline().decode().strip()
    assert port, "kinesalite ended"
    return f"http://127.0.0.1:{port}"
