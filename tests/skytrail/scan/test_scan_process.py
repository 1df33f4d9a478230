"""The command as its own process: Ctrl-C, a killed parent, a closed pipe, memory."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from skytrail.cli.exits import Exit
from tests.skytrail.scan.events import call, lines, rules

BIG_BYTES = 200 * 1024 * 1024
NEEDED_BYTES = 2 * BIG_BYTES
DOCUMENT_BYTES = 300_000_000  # more than is held of what can't be cut


def start(tmp_path: Path, *arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "skytrail", "scan", *map(str, arguments)]
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "none"), "HOME": str(tmp_path), "PATH": ""}
    return subprocess.Popen(command, cwd=Path(__file__).parents[3], env=environment, **options)


def endless(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A scan of a stream that does not end, once it has children."""
    process = start(
        tmp_path, "-", "--rules", rules(tmp_path / "rules"), "--jobs", "2",
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    block = lines([call(n) for n in range(4000)])
    for _ in range(12):
        process.stdin.write(block)
    process.stdin.flush()
    assert until(lambda: len(psutil.Process(process.pid).children()) == 2)
    return process


def until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_ends_every_process_and_says_so(tmp_path: Path) -> None:
    process = endless(tmp_path)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED
    assert b"interrupted; until then" in said
    assert b"Traceback" not in said
    assert until(lambda: not any(child.is_running() for child in children), 10)


def test_no_process_outlives_a_killed_parent(tmp_path: Path) -> None:
    process = endless(tmp_path)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=60)
    assert until(lambda: not any(child.is_running() for child in children), 30)


def test_a_reader_that_stops_early_ends_the_scan_quietly(tmp_path: Path) -> None:
    file = tmp_path / "trail.ndjson"
    file.write_bytes(lines([call(n) for n in range(20_000)]))
    process = start(
        tmp_path, file, "--rules", rules(tmp_path / "rules"), "-q", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    assert process.stderr
    assert json.loads(process.stdout.readline())["record"] == 0
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(timeout=60) == Exit.OK
    assert said == b""


@pytest.mark.slow
@pytest.mark.skipif(shutil.disk_usage("/").free < NEEDED_BYTES, reason="needs 400 MB of disk")
def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    directory = rules(tmp_path / "rules")
    block = lines([call(n, "StopLogging" if n % 50 == 0 else "GetObject") for n in range(20_000)])
    peaks = {}
    for name, size in (("small", BIG_BYTES // 8), ("big", BIG_BYTES)):
        file = tmp_path / f"{name}.ndjson"
        with file.open("wb") as handle:
            while handle.tell() < size:
                handle.write(block)
        peaks[name] = peak_of_scan(tmp_path, file, directory)
    assert peaks["big"] < 1.3 * peaks["small"] + 50e6
    assert peaks["big"] < 700e6


@pytest.mark.slow
def test_memory_does_not_grow_with_a_document(tmp_path: Path) -> None:
    record = json.dumps({**call(0), "requestParameters": {"text": "x" * 20_000}}).encode()
    file = tmp_path / "document.json.gz"
    with gzip.open(file, "wb", compresslevel=1) as handle:
        handle.write(b'{"Records":[' + record)
        for _ in range(DOCUMENT_BYTES // len(record)):
            handle.write(b"," + record)
        handle.write(b"]}")
    assert peak_of_scan(tmp_path, file, rules(tmp_path / "rules")) < DOCUMENT_BYTES


def peak_of_scan(tmp_path: Path, file: Path, directory: Path) -> int:
    """The most bytes that a scan with two processes held, which must read everything."""
    process = start(
        tmp_path, file, "--rules", directory, "--jobs", "2", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        time.sleep(0.02)
    assert process.returncode == Exit.OK
    return peak


def resident(pid: int) -> int:
    """Bytes of a process and its children that no other process shares."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children()):
            total += process.memory_info().rss - process.memory_info().shared
    except psutil.NoSuchProcess:
        return 0
    return total
