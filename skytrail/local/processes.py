"""Starting processes that outlive us, and ending exactly those: a pid alone proves nothing, it is used again.

A process is known by its pid and the time it was created; after a reboot or a crash the pair does not match any more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from skytrail.local.privilege import Account

CLOCK_TOLERANCE_S = 1.0  # creation times are derived from the boot time, which follows small steps of the clock


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of this machine, and no later one that was given the same pid."""

    pid: int
    created: float  # seconds since the epoch


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of the process that has `pid` now; None if there is none, or only its remains."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return ProcessIdentity(pid, process.create_time())
    except psutil.Error:
        return None


def is_alive(identity: ProcessIdentity | None) -> bool:
    """Whether exactly this process still runs (a stopped one counts as running)."""
    if identity is None:
        return False
    found = identify(identity.pid)
    return found is not None and abs(found.created - identity.created) <= CLOCK_TOLERANCE_S


def spawn(
    command: Sequence[str], *, environment: Mapping[str, str], directory: Path, log: Path, account: Account | None
) -> ProcessIdentity:
    """Start `command` in a session of its own; its output replaces `log`, nothing else is inherited.

    Raises:
        OSError: The program can't be executed, or the account can't be taken.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 -- our own engines
            command,
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            umask=0o077,
        )
    identity = identify(process.pid) or ProcessIdentity(process.pid, 0.0)
    # Reaps the child while we live, so that a dead engine is not taken for a running one.
    threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()
    return identity


def find_by_marker(marker: str, uid: int) -> ProcessIdentity | None:
    """The process of user `uid` that has `marker` among its arguments: one that was started but never written down."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == uid and marker in process.cmdline():
                return identify(process.pid)
    return None


def send(identity: ProcessIdentity | None, signal_number: signal.Signals) -> bool:
    """Send a signal to exactly this process; False if it does not run any more."""
    if identity is None or not is_alive(identity):
        return False
    try:
        os.kill(identity.pid, signal_number)
    except ProcessLookupError:
        return False
    return True


def terminate(identity: ProcessIdentity | None, *, grace_s: float) -> None:
    """End the process: ask, wait up to `grace_s` seconds, then kill. Returns when it is gone."""
    if identity is None or not send(identity, signal.SIGTERM):
        return
    send(identity, signal.SIGCONT)  # a stopped process would never see the request
    if not wait_gone(identity, grace_s):
        send(identity, signal.SIGKILL)
        wait_gone(identity, grace_s)


def wait_gone(identity: ProcessIdentity, timeout_s: float) -> bool:
    """Wait until the process is gone; False if it still runs after `timeout_s` seconds."""
    pause = threading.Event()
    for _ in range(max(1, int(timeout_s / 0.05))):
        if not is_alive(identity):
            return True
        pause.wait(0.05)
    return not is_alive(identity)
