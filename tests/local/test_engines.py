"""The real engines: they start, keep data, survive faults, and let in only who proves who they are."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from elasticsearch import Elasticsearch
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from ingest.schema.errors import EngineError
from skytrail.local.engines import (
    ENGINES,
    Engine,
    EngineState,
    default_cache,
    kill,
    load,
    remove,
    start,
    start_one,
    status,
    stop,
)
from skytrail.local.home import refreshed
from skytrail.local.node import marker
from skytrail.local.ports import LOOPBACK
from skytrail.local.privilege import engine_account
from skytrail.local.processes import find_by_marker
from tests.engines import temporary_home
from tests.local.clients import admin, kafka_settings

pytestmark = pytest.mark.engines

START = """
import json, pathlib, sys
from skytrail.local.engines import start
home, cache = map(pathlib.Path, sys.argv[1:])
print(json.dumps(start(home, cache=cache).pids))
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home of this module alone: its engines are stopped and killed here."""
    with temporary_home() as directory:
        yield directory


@pytest.fixture
def state(home: Path, monkeypatch: pytest.MonkeyPatch) -> EngineState:
    """The running engines of `home`; whatever a test before did to them is mended."""
    monkeypatch.setenv("HOME", str(home))  # nothing of the user's configuration may matter
    return start(home, cache=cache())


def cache() -> Path:
    return default_cache(os.environ)


def starter(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START, str(home), str(cache())],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for_launch(home: Path, engine: Engine, former: int | None = None) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        known = load(home)
        pid = refreshed(known).pids.get(engine) if known else None
        if pid not in (None, former):
            return
        time.sleep(0.1)
    raise TimeoutError(f"{engine} was not launched")


def running(home: Path) -> list[Engine]:
    """The engines of `home` among all processes of this machine, whatever the recorded state says."""
    account = engine_account()
    uid = account.uid if account else os.geteuid()
    return [engine for engine in ENGINES if find_by_marker(marker(home.resolve(), engine), uid)]


def test_both_engines_answer_and_tell_their_place(state: EngineState, home: Path) -> None:
    told = status(home)
    assert all(told[engine].answering and told[engine].pid == state.pids[engine] for engine in ENGINES)
    assert told["elasticsearch"].version == "8.19.8"
    assert all(log.read_text() for log in state.logs.values())


def test_a_second_start_changes_nothing(state: EngineState, home: Path) -> None:
    assert start(home, cache=cache()) == state
    assert start_one(home, "kafka") == state


def test_nothing_listens_beyond_the_loopback_interface(state: EngineState) -> None:
    for pid in state.pids.values():
        listening = [found for found in psutil.Process(pid).net_connections() if found.status == psutil.CONN_LISTEN]
        assert listening
        assert {found.laddr.ip.removeprefix("::ffff:") for found in listening} == {LOOPBACK}


def test_no_password_shows_in_a_command_line_or_an_environment(state: EngineState) -> None:
    secrets = [*state.elasticsearch_users.values(), state.kafka_password, state.kafka_controller_password]
    for pid in state.pids.values():
        process = psutil.Process(pid)
        shown = json.dumps([process.cmdline(), process.environ()])
        assert not any(secret in shown for secret in secrets)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_engines_started_by_root_run_without_its_rights(state: EngineState) -> None:
    for pid in state.pids.values():
        assert psutil.Process(pid).uids().real != 0
        assert psutil.Process(pid).gids().real != 0


def test_data_passwords_and_ports_survive_a_restart(state: EngineState, home: Path) -> None:
    with admin(state) as client:
        client.index(index="logs-restart-test", id="1", document={"kept": True}, op_type="create")
    with contextlib.closing(KafkaProducer(**kafka_settings(state))) as producer:
        create_topic(state, "restart")
        producer.send("restart", b"kept").get(timeout=30)
    stop(home)
    assert running(home) == []
    assert not any(one.running for one in status(home).values())
    again = start(home, cache=cache())
    assert (again.elasticsearch_users, again.kafka_password) == (state.elasticsearch_users, state.kafka_password)
    assert (again.kafka_port, again.elasticsearch_port) == (state.kafka_port, state.elasticsearch_port)
    with admin(again) as client:
        assert client.get(index="logs-restart-test", id="1")["_source"] == {"kept": True}
    assert first_record(again, "restart") == b"kept"


def create_topic(state: EngineState, name: str) -> None:
    with contextlib.closing(KafkaAdminClient(**kafka_settings(state))) as client:
        client.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])


def first_record(state: EngineState, topic: str) -> bytes:
    with contextlib.closing(KafkaConsumer(**kafka_settings(state), auto_offset_reset="earliest")) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        batches = consumer.poll(timeout_ms=30_000)
        value: bytes = next(iter(batches.values()))[0].value
        return value


@pytest.mark.faults
@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_engine_is_started_again_and_the_other_left_alone(
    state: EngineState, home: Path, engine: Engine
) -> None:
    kill(home, engine, signal.SIGKILL)
    other: Engine = "kafka" if engine == "elasticsearch" else "elasticsearch"
    until = time.monotonic() + 10
    while status(home)[engine].running and time.monotonic() < until:
        time.sleep(0.05)
    with pytest.raises(EngineError, match="does not run"):
        kill(home, engine)
    again = start(home, cache=cache())
    assert again.pids[other] == state.pids[other]
    assert again.pids[engine] != state.pids[engine]
    assert status(home)[engine].answering


@pytest.mark.faults
def test_a_stopped_process_is_continued_by_start(state: EngineState, home: Path) -> None:
    kill(home, "kafka", signal.SIGSTOP)
    assert status(home)["kafka"].running
    assert not status(home)["kafka"].answering
    assert start(home, cache=cache()).pids == state.pids
    assert status(home)["kafka"].answering


@pytest.mark.faults
def test_two_starts_at_once_on_new_ports_start_one_pair(state: EngineState, home: Path) -> None:
    stop(home)
    with socket.socket() as squatter:
        squatter.bind((LOOPBACK, state.kafka_port))
        squatter.listen(1)
        pids = [json.loads(process.communicate(timeout=200)[0]) for process in [starter(home), starter(home)]]
    assert pids[0] == pids[1]
    moved = load(home)
    assert moved is not None
    assert moved.kafka_port != state.kafka_port


@pytest.mark.faults
def test_an_interrupted_start_leaves_nothing_running(state: EngineState, home: Path) -> None:
    stop(home)
    process = starter(home)
    wait_for_launch(home, "kafka", state.pids["kafka"])
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    assert "KeyboardInterrupt" in said
    assert running(home) == []


@pytest.mark.faults
def test_what_a_killed_start_left_behind_is_taken_over(state: EngineState, home: Path) -> None:
    stop(home)
    process = starter(home)
    wait_for_launch(home, "kafka", state.pids["kafka"])
    process.kill()
    process.communicate()
    launched = load(home)
    assert launched is not None
    again = start(home, cache=cache())
    assert again.pids["kafka"] == launched.pids["kafka"]
    assert all(one.answering for one in status(home).values())


@pytest.mark.slow
def test_the_other_pinned_elasticsearch_starts_and_is_removed_without_a_trace() -> None:
    with temporary_home() as own:
        state = start(own, cache=cache(), elasticsearch_version="9.1.0")
        with Elasticsearch(
            state.elasticsearch_url, basic_auth=("reader", state.elasticsearch_users["reader"])
        ) as client:
            nodes = client.nodes.info(filter_path="nodes.*.version").body["nodes"]
        assert [node["version"] for node in nodes.values()] == ["9.1.0"]
        remove(own)
        assert running(own) == []
        assert status(own) == {}
        assert not (state.directory / "elasticsearch").exists()
