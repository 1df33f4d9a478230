"""The main road as child processes on engines of their own: starts, kills and stops roles, feeds raw topics."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ingest.backoff import Backoff
from ingest.formats.registry import all_formats
from ingest.publisher import KafkaPublisher
from ingest.schema.envelope import Envelope
from skytrail.connections import DUTIES, with_engines
from skytrail.local.engines import EngineState
from skytrail.settings import Settings, environment_without_settings
from storage.index.client import connect
from storage.index.install import ensure_templates
from streams.topic_admin import ensure_topics
from streams.topics import DEAD_LETTERS, all_topics, raw_topic
from tests.faults.material import AUDIT, CLOUDTRAIL, audit, cloudtrail, envelopes

ROLES = ("seal", "detect", "index")
START_TIMEOUT_S = 150.0
STOP_TIMEOUT_S = 45.0
STEP = 50  # records that flow at once, each second: few enough to catch up with on a small machine after an outage
SESSION_S = 6.0
"""Seconds until the brokers give a killed worker's partitions to another; short, so that the tests need not wait."""


@dataclass(slots=True)
class Role:
    """One worker process.

    Attributes:
        plain: Whether it has the settings of the road, and none of a test.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    plain: bool

    def said(self, text: str) -> bool:
        """Whether its log holds this text."""
        return text in self.log.read_text("utf-8", "replace")

    def tail(self) -> str:
        """The end of its log, for messages of failed tests."""
        return "\n".join(line[:300] for line in self.log.read_text("utf-8", "replace").splitlines()[-12:])


@dataclass(slots=True)
class Road:
    """Engines, a state directory, and the roles that run on them now.

    Attributes:
        settings: Connected settings of this process.
        roles: The running workers of each role, the oldest first.
    """

    directory: Path
    state: EngineState
    settings: Settings = field(init=False)
    roles: dict[str, list[Role]] = field(default_factory=lambda: {name: [] for name in ROLES})
    _started: int = 0

    def __post_init__(self) -> None:
        bare = Settings.model_construct(state_dir=self.directory).model_copy()
        self.settings = with_engines(bare, self.state)

    async def prepare(self) -> None:
        """Topics and templates, as `skytrail up` makes them."""
        await ensure_topics(self.settings.kafka, all_topics(list(all_formats())))
        client = connect(self.settings.elasticsearch, "bootstrap")
        try:
            await ensure_templates(client, self.settings.elasticsearch)
        finally:
            await client.close()

    def config(self, name: str, changes: Mapping[str, Mapping[str, Any]]) -> Path:
        """A settings file for a worker: this road's, with `changes` per section."""
        state = self.state
        sections: dict[str, dict[str, Any]] = {
            "kafka": {
                "bootstrap_servers": state.kafka_bootstrap,
                "security_protocol": state.kafka_security_protocol,
                "sasl_mechanism": state.kafka_mechanism,
                "username": state.kafka_username,
                "password": state.kafka_password,
            },
            "elasticsearch": {
                "url": state.elasticsearch_url,
                **{duty: {"username": duty, "password": state.elasticsearch_users[duty]} for duty in DUTIES},
            },
            "archive": {"segment_max_age_s": 0.5},
            "worker": {"envelopes_per_batch": 4, "batch_wait_s": 0.1, "session_timeout_s": SESSION_S},
        }
        for section, values in changes.items():
            sections.setdefault(section, {}).update(values)
        path = self.directory / f"{name}.toml"
        path.write_bytes(msgspec.toml.encode({"state_dir": str(self.directory), **sections}))
        return path

    def start(self, role: str, **changes: Mapping[str, Any]) -> Role:
        """Start one more worker of a role.

        Its output goes through a pipe, so that a test may forbid it to write files without silencing it.
        """
        self._started += 1
        name = f"{role}-{self._started:03d}"
        log = self.directory / f"{name}.log"
        process = spawn(["--config", str(self.config(name, changes)), "worker", role], log)
        running = Role(name, process, log, plain=not changes)
        self.roles[role].append(running)
        return running

    def start_all(self) -> None:
        """Make exactly one worker of each role run, with plain settings; returns when they are up."""
        for role in ROLES:
            plain = [running for running in self.roles[role] if running.plain]
            for running in self.roles[role][:]:
                if running not in plain[:1]:
                    self.end(role, running)
            if not self.roles[role] or self.roles[role][0].process.poll() is not None:
                self.roles[role].clear()
                self.start(role)
        for running in (each for role in ROLES for each in self.roles[role]):
            wait_for(functools.partial(running.said, "worker started"), f"{running.name} is up")

    def kill(self, role: str) -> None:
        """`kill -9` the oldest worker of a role."""
        running = self.roles[role].pop(0)
        running.process.kill()
        running.process.wait()

    def end(self, role: str, running: Role) -> int:
        """SIGTERM one worker; its exit code."""
        running.process.send_signal(signal.SIGTERM)
        return self._ended(role, running)

    def _ended(self, role: str, running: Role) -> int:
        """The exit code of a worker that was told to stop; told once, for one that is through with it takes no more."""
        self.roles[role].remove(running)
        try:
            return running.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()
            raise AssertionError(f"{running.name} did not end after SIGTERM:\n{running.tail()}") from None

    def end_all(self) -> dict[str, int]:
        """SIGTERM every worker; exit codes by name."""
        everyone = [(role, each) for role in ROLES for each in list(self.roles[role])]
        for _, running in everyone:
            running.process.send_signal(signal.SIGTERM)
        return {running.name: self._ended(role, running) for role, running in everyone}

    def abandon(self) -> None:
        """Kill whatever still runs."""
        for running in (each for role in ROLES for each in self.roles[role]):
            with contextlib.suppress(ProcessLookupError):
                running.process.kill()
            running.process.wait()

    def publisher(self) -> KafkaPublisher:
        """A collector's way to the brokers."""
        return KafkaPublisher(
            self.settings.kafka.model_copy(update={"publish_deadline_s": 5.0}),
            raw_topic=raw_topic,
            dead_letter_topic=DEAD_LETTERS,
        )


def spawn(arguments: Sequence[str], log: Path, module: str = "skytrail") -> subprocess.Popen[bytes]:
    """Start a module of ours; a thread copies what it says into `log`."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=environment_without_settings(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    log.touch()

    def copy() -> None:
        assert process.stdout is not None
        with log.open("wb", buffering=0) as sink, process.stdout as source:
            while chunk := source.read1():
                sink.write(chunk)

    threading.Thread(target=copy, daemon=True).start()
    return process


def ran(config: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command of ours to its end: its exit code, what it wrote, and what it said beside that."""
    done = subprocess.run(
        [sys.executable, "-m", "skytrail", "--config", str(config), *arguments],
        env=environment_without_settings(),
        capture_output=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def told(config: Path, *arguments: str) -> tuple[int, Any, str]:
    """The same, with what it wrote as JSON.

    Raises:
        AssertionError: It wrote none.
    """
    code, wrote, said = ran(config, *arguments, "-o", "json")
    assert wrote, f"{arguments} ended with {code}: {said[-2000:]}"
    return code, json.loads(wrote), said


async def publish(road: Road, messages: Sequence[Envelope]) -> None:
    """Publish envelopes as a collector would: again until the brokers have them."""
    publisher = road.publisher()
    try:
        for start in range(0, len(messages), 4):
            await Backoff(cap_s=1.0).forever(functools.partial(publisher.publish, messages[start : start + 4]))
    finally:
        await publisher.close()


@dataclass(slots=True)
class Feed:
    """What flows during a test.

    Attributes:
        records: Different records published so far.
    """

    records: int = 0


@contextlib.asynccontextmanager
async def feeding(road: Road, namespace: str, seed: int) -> AsyncIterator[Feed]:
    """Publish about 50 records a second until the block ends, so that whatever happens in it is in mid-stream."""
    feed = Feed()
    stop = asyncio.Event()

    async def flow() -> None:
        while not stop.is_set():
            step = material(seed * 1000 + feed.records, namespace, STEP)
            await publish(road, step)
            feed.records += STEP
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)

    task = asyncio.create_task(flow())
    try:
        yield feed
    finally:
        stop.set()
        await task


def material(seed: int, namespace: str, count: int) -> list[Envelope]:
    """Envelopes of `count` records of both formats, in a mixed order."""
    rng = random.Random(seed)
    now = dt.datetime.now(dt.UTC)
    mixed = [
        *envelopes(namespace, CLOUDTRAIL, cloudtrail(rng, count * 2 // 3, now)),
        *envelopes(namespace, AUDIT, audit(rng, count - count * 2 // 3, now)),
    ]
    rng.shuffle(mixed)
    return mixed


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = START_TIMEOUT_S) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: It did not in time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s for: {what}"
        time.sleep(0.1)
