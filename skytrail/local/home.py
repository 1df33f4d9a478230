"""What is chosen for a home before its engines start: places, passwords, versions, ports; and what still runs there."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from ingest.schema.errors import EngineError
from skytrail.local import credentials, ports
from skytrail.local.node import marker
from skytrail.local.privilege import Account, can_enter, engine_account
from skytrail.local.processes import find_by_marker, is_alive
from skytrail.local.state import ENGINES, Engine, EngineState, Heap

KAFKA_VERSION = "4.1.1"
ELASTICSEARCH_VERSION = "8.19.8"
KAFKA_PORT = 9092
ELASTICSEARCH_PORT = 9200
SYSTEM_HOMES = Path("/var/lib/skytrail/homes")


def new_state(home: Path, cache: Path, elasticsearch_version: str | None) -> EngineState:
    """The state of a home that had no engines: its passwords and places are chosen here, once."""
    return EngineState(
        home=home,
        directory=engine_directory(home, engine_account()),
        cache=cache.resolve(),
        kafka_port=0,
        kafka_controller_port=0,
        elasticsearch_port=0,
        kafka_password=credentials.new_password(),
        kafka_controller_password=credentials.new_password(),
        elasticsearch_users=credentials.new_users(),
        versions={"kafka": KAFKA_VERSION, "elasticsearch": elasticsearch_version or ELASTICSEARCH_VERSION},
    )


def engine_directory(home: Path, account: Account | None) -> Path:
    """Where the engines' files lie: the home, or a place of its own if `account` can't enter the home."""
    if can_enter(home, account):
        return home
    return SYSTEM_HOMES / hashlib.sha256(str(home).encode()).hexdigest()[:16]


def refreshed(state: EngineState) -> EngineState:
    """The state with those processes that really run: the recorded ones, else ones that bear our marker.

    The marker finds what was started and never recorded (its starter was killed), and a process whose creation time
    moved with the clock.
    """
    account = engine_account()
    uid = account.uid if account else os.geteuid()
    for engine in ENGINES:
        process = state.processes.get(engine)
        if not is_alive(process):
            process = find_by_marker(marker(state.home, engine), uid)
        state = state.with_process(engine, process)
    return state


def with_choices(state: EngineState, cache: Path, version: str | None, heap: Heap | None) -> EngineState:
    """The state with what the caller asks for.

    Raises:
        EngineError: The home holds data of another version.
    """
    if version is not None and version != state.versions["elasticsearch"]:
        raise EngineError(
            f"starting Elasticsearch {version}: this home holds data of {state.versions['elasticsearch']}",
            where=str(state.home),
            mend="choose another home, or leave the version away",
        )
    chosen = dataclasses.replace(state, cache=cache.resolve(), heap=heap or state.heap)
    if "elasticsearch" in state.processes:  # its users are read when it starts
        return chosen
    return dataclasses.replace(chosen, elasticsearch_users=credentials.new_users(state.elasticsearch_users))


def with_ports(
    state: EngineState,
    wanted: Sequence[Engine],
    kafka_port: int | None = None,
    elasticsearch_port: int | None = None,
) -> EngineState:
    """The state with ports for the engines that will be started; those of running ones stay."""
    if "kafka" in wanted:
        chosen = ports.choose(kafka_port or state.kafka_port or None, KAFKA_PORT)
        state = dataclasses.replace(state, kafka_port=chosen, kafka_controller_port=ports.any_free())
    if "elasticsearch" in wanted:
        chosen = ports.choose(elasticsearch_port or state.elasticsearch_port or None, ELASTICSEARCH_PORT)
        state = dataclasses.replace(state, elasticsearch_port=chosen)
    return state
