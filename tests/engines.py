"""Fixtures: the real engines that tests run on.

`tests/conftest.py` imports `engines` from here. Set SKYTRAIL_TEST_ENGINES_HOME to the home of running engines to use
those; otherwise a pair is started in a temporary home and removed at the end, also after an interrupt. What a killed
session left behind is removed by the next one.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from skytrail.local.engines import EngineState, default_cache, load, remove, start
from skytrail.local.processes import ProcessIdentity, identify, is_alive

RUNNING_HOME = "SKYTRAIL_TEST_ENGINES_HOME"
PREFIX = "skytrail-engines-"
OWNER = "owner.json"


@pytest.fixture(scope="session")
def engines() -> Iterator[EngineState]:
    """Kafka and Elasticsearch that answer. An error, never a skip, when they can't be had."""
    given = os.environ.get(RUNNING_HOME)
    if given:
        yield running_engines(Path(given))
        return
    with temporary_home() as home:
        yield start(home, cache=default_cache(os.environ))


def running_engines(home: Path) -> EngineState:
    """The engines of `home`, started if they do not run.

    Raises:
        EngineError: They can't be started; it says what is missing.
        LookupError: No engines were ever started in this home.
    """
    state = load(home)
    if state is None:
        raise LookupError(f"{RUNNING_HOME}={home} holds no engines; unset it, or start them there first")
    return start(home, cache=state.cache)


@contextlib.contextmanager
def temporary_home() -> Iterator[Path]:
    """A directory for engines that are removed with it, however this block or this process ends, short of a kill."""
    remove_orphans()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as directory:
        home = Path(directory)
        (home / OWNER).write_text(json.dumps(asdict(identify(os.getpid()) or ProcessIdentity(os.getpid(), 0.0))))
        end = functools.partial(remove, home)
        atexit.register(end)
        try:
            yield home
        finally:
            end()
            atexit.unregister(end)


def remove_orphans() -> None:
    """Remove engines whose test session was killed."""
    for owner in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{OWNER}"):
        with contextlib.suppress(OSError, ValueError):
            if not is_alive(ProcessIdentity(**json.loads(owner.read_text()))):
                remove(owner.parent)
                owner.unlink()
