"""Real Kafka and Elasticsearch on this machine, without Docker: start, stop, status.

    state = start(home, cache=default_cache(environment))
    ... state.kafka_bootstrap, state.elasticsearch_url, state.elasticsearch_users["indexer"] ...
    stop(home)

Engines outlive the process that started them. A home holds their configuration, data, logs and passwords; data stays
when they stop. Everything binds to the loopback interface. One home is changed by one caller at a time; others wait.
"""

from __future__ import annotations

import functools
import shutil
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ingest.schema.errors import EngineError
from skytrail.local import elasticsearch_node, kafka_node, ports
from skytrail.local.artifacts import Progress
from skytrail.local.distribution import default_cache, install
from skytrail.local.exclusive import exclusive
from skytrail.local.home import new_state, refreshed, with_choices, with_ports
from skytrail.local.node import Launch
from skytrail.local.privilege import engine_account
from skytrail.local.processes import ProcessIdentity, send, terminate
from skytrail.local.readiness import answers, wait_ready
from skytrail.local.state import ENGINES, FILE, Engine, EngineState, Heap, load, save

__all__ = [
    "ENGINES", "Engine", "EngineState", "EngineStatus", "Heap", "Progress",
    "default_cache", "kill", "load", "remove", "start", "start_one", "status", "stop",
]  # fmt: skip

START_TIMEOUT_S = 180.0
STOP_GRACE_S = 30.0
STOP_ROUNDS = 4
LOCK = "engines.lock"

_LAUNCH: dict[Engine, Callable[[Launch], ProcessIdentity]] = {
    "kafka": kafka_node.launch,
    "elasticsearch": elasticsearch_node.launch,
}


@dataclass(frozen=True)
class EngineStatus:
    """What one engine of a home does now."""

    engine: Engine
    version: str
    running: bool  # its process is there
    answering: bool  # it serves authenticated requests
    pid: int | None
    address: str
    log: Path


def start(
    home: Path,
    *,
    cache: Path,
    elasticsearch_version: str | None = None,
    kafka_port: int | None = None,
    elasticsearch_port: int | None = None,
    heap: Heap | None = None,
    progress: Progress | None = None,
) -> EngineState:
    """Make both engines of `home` run and answer; starts what does not run and leaves alone what does.

    Args:
        home: Directory of these engines; created if missing.
        cache: Where released files are kept for all homes of this machine (`default_cache`).
        elasticsearch_version: One of the pinned versions; None: the one of this home, else 8.19.8.
        kafka_port: None: the one of this home, else 9092, else any; the first that is free.
        elasticsearch_port: None: the one of this home, else 9200, else any; the first that is free.
        heap: Java heaps; None: those of this home, else the defaults.
        progress: Told about downloads and starts.

    Raises:
        EngineError: Files can't be fetched or verified, or an engine does not come up. What this call started is ended.
    """
    home = home.resolve()
    with exclusive(home / LOCK):
        known = load(home) or new_state(home, cache, elasticsearch_version)
        state = with_choices(refreshed(known), cache, elasticsearch_version, heap)
        wanted = [engine for engine in ENGINES if engine not in state.processes]
        return _bring_up(with_ports(state, wanted, kafka_port, elasticsearch_port), wanted, progress or _silently)


def start_one(home: Path, engine: Engine) -> EngineState:
    """Start one engine of a home that was started before.

    Raises:
        EngineError: There is no such home, or the engine does not come up.
    """
    home = home.resolve()
    with exclusive(home / LOCK):
        state = refreshed(_existing(home))
        wanted = [engine] if engine not in state.processes else []
        return _bring_up(with_ports(state, wanted), wanted, _silently)


def stop(home: Path) -> None:
    """End the engines of `home`, and nothing else; waits until they are gone. Data stays; no engines are no error."""
    home = home.resolve()
    if load(home) is None:
        return
    with exclusive(home / LOCK):
        state = load(home)
        if state is not None:
            save(_end(state, ENGINES))


def remove(home: Path) -> None:
    """Stop the engines of `home` and delete their data, logs and passwords."""
    home = home.resolve()
    if load(home) is None:
        return
    with exclusive(home / LOCK):
        state = load(home)
        if state is None:
            return
        _end(state, ENGINES)
        for engine in ENGINES:
            shutil.rmtree(state.directory / engine, ignore_errors=True)
        if state.directory != home:
            shutil.rmtree(state.directory, ignore_errors=True)
        (home / FILE).unlink()


def status(home: Path) -> dict[Engine, EngineStatus]:
    """What the engines of `home` do now; empty if there never were any."""
    state = load(home.resolve())
    if state is None:
        return {}
    state = refreshed(state)
    return {engine: _status_of(state, engine) for engine in ENGINES}


def kill(home: Path, engine: Engine, signal_number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to one engine of `home`, as a fault would.

    Raises:
        EngineError: It does not run.
    """
    state = refreshed(_existing(home.resolve()))
    if not send(state.processes.get(engine), signal_number):
        raise EngineError(f"sending {signal_number.name} to {engine}: it does not run", where=str(home))


def _status_of(state: EngineState, engine: Engine) -> EngineStatus:
    process = state.processes.get(engine)
    return EngineStatus(
        engine=engine,
        version=state.versions[engine],
        running=process is not None,
        answering=process is not None and answers(state, engine),
        pid=process.pid if process else None,
        address=state.kafka_bootstrap if engine == "kafka" else state.elasticsearch_url,
        log=state.logs[engine],
    )


def _existing(home: Path) -> EngineState:
    state = load(home)
    if state is None:
        raise EngineError("looking for the local engines: none were ever started here", where=str(home))
    return state


def _bring_up(state: EngineState, wanted: Sequence[Engine], tell: Progress) -> EngineState:
    """Start `wanted` and wait until all that should run answers; a port lost to somebody in between is chosen again."""
    try:
        return _start_and_wait(state, wanted, tell)
    except EngineError:
        if all(ports.is_free(state.port(engine)) for engine in wanted):
            raise
    return _start_and_wait(with_ports(state, wanted), wanted, tell)


def _start_and_wait(state: EngineState, wanted: Sequence[Engine], tell: Progress) -> EngineState:
    """Start `wanted` and wait; what was started is ended again if that fails or is interrupted."""
    save(state)
    account = engine_account()
    for running in state.processes.values():
        send(running, signal.SIGCONT)  # a stopped process answers nobody
    try:
        if wanted:
            installed = install(state.cache, state.versions, account, tell)
            state = _launch(Launch(state, installed, account), wanted)
        _wait(state, tell)
    except BaseException:
        save(_end(state, wanted))
        raise
    state = refreshed(state)
    save(state)
    return state


def _launch(start_: Launch, wanted: Sequence[Engine]) -> EngineState:
    state = start_.state
    # Elasticsearch first: it takes three times as long, and Kafka's storage may have to be formatted meanwhile
    for engine in sorted(wanted):
        state = state.with_process(engine, _LAUNCH[engine](start_))
        save(state)
    return state


def _wait(state: EngineState, tell: Progress) -> None:
    def alive(engine: Engine) -> bool:
        return engine in refreshed(state).processes

    label = "starting " + " and ".join(state.processes)
    tell(label, 0, len(state.processes))
    for done, engine in enumerate(state.processes, 1):
        wait_ready(state, engine, alive=functools.partial(alive, engine), timeout_s=START_TIMEOUT_S)
        tell(label, done, len(state.processes))


def _end(state: EngineState, engines: Sequence[Engine]) -> EngineState:
    """End processes until none is left: Elasticsearch has a launcher beside its server while it starts.

    Raises:
        EngineError: A process can't be ended, not even killed.
    """
    for _ in range(STOP_ROUNDS):
        state = refreshed(state)
        doomed = [process for engine, process in state.processes.items() if engine in engines]
        if not doomed:
            return state
        with ThreadPoolExecutor(len(doomed)) as pool:
            list(pool.map(lambda process: terminate(process, grace_s=STOP_GRACE_S), doomed))
    raise EngineError(
        f"ending the local engines: still running after they were killed: {state.pids}",
        where=str(state.home),
        mend="look at these processes (`ps -o stat,wchan -p <pid>`): one that hangs in the kernel waits for its disk",
    )


def _silently(_label: str, _done: int, _total: int) -> None:
    """Tell nobody."""
