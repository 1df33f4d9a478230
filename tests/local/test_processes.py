"""Only our own processes are ended, and they are known by more than a pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from skytrail.local.processes import (
    ProcessIdentity,
    find_by_marker,
    identify,
    is_alive,
    send,
    spawn,
    terminate,
    wait_gone,
)

STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def sleeper(directory: Path, code: str = "import time; time.sleep(60)", *arguments: str) -> ProcessIdentity:
    return spawn(
        [sys.executable, "-c", code, *arguments],
        environment={},
        directory=directory,
        log=directory / "log",
        account=None,
    )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[ProcessIdentity]:
    identity = sleeper(tmp_path)
    yield identity
    terminate(identity, grace_s=5)


def test_a_running_process_is_alive_and_ends_on_request(running: ProcessIdentity) -> None:
    assert is_alive(running)
    terminate(running, grace_s=5)
    assert not is_alive(running)


def test_another_process_under_the_same_pid_is_left_alone(running: ProcessIdentity) -> None:
    former = replace(running, created=running.created - 60)
    assert not is_alive(former)
    assert not send(former, signal.SIGKILL)
    terminate(former, grace_s=1)
    assert is_alive(running)


def test_a_process_that_ignores_the_request_is_killed_after_the_grace(tmp_path: Path) -> None:
    identity = sleeper(tmp_path, STUBBORN)
    until = time.monotonic() + 10
    while "up" not in (tmp_path / "log").read_text() and time.monotonic() < until:
        time.sleep(0.02)
    terminate(identity, grace_s=0.3)
    assert not is_alive(identity)


def test_a_stopped_process_ends_too(running: ProcessIdentity) -> None:
    send(running, signal.SIGSTOP)
    terminate(running, grace_s=5)
    assert not is_alive(running)


def test_remains_that_nobody_collected_are_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    identity = ProcessIdentity(child.pid, time.time())
    assert wait_gone(identity, 10)
    assert identify(child.pid) is None
    child.wait()


def test_a_process_leads_its_own_session_and_inherits_nothing(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    code = f"import os; print(os.getsid(0) == os.getpid(), os.path.exists('/dev/fd/{write}'))"
    identity = sleeper(tmp_path, code)
    assert wait_gone(identity, 10)
    os.close(read)
    os.close(write)
    assert (tmp_path / "log").read_text().split() == ["True", "False"]


def test_an_unrecorded_process_is_found_by_its_marker_and_its_user(tmp_path: Path) -> None:
    marker = f"-Dskytrail.engine=test:{tmp_path}"
    identity = sleeper(tmp_path, "import time; time.sleep(60)", marker)
    try:
        found = find_by_marker(marker, os.geteuid())
        assert found is not None
        assert found.pid == identity.pid
        assert find_by_marker(marker, 54321) is None
        assert find_by_marker(marker + "x", os.geteuid()) is None
    finally:
        terminate(identity, grace_s=5)
