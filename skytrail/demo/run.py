"""`skytrail demo` from start to end: engines, roles, a generated day through the real transports, proof.

Everything lies in a directory of its own below the state directory, with engines and a namespace of its own; nothing of
the user is touched.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ingest.formats.registry import all_formats
from ingest.schema.errors import EngineError
from ingest.settings import CollectorSettings
from skytrail.collecting import checked_collector
from skytrail.connections import with_engines
from skytrail.data_keys import key_source
from skytrail.demo.day import SEED, Day, generate, write_files
from skytrail.demo.delivery import AUDIT, CLOUDTRAIL
from skytrail.demo.processes import Processes
from skytrail.demo.webhook_client import Endpoint, post_batches
from skytrail.local import engines, ports
from skytrail.loopback_certificate import write_certificate
from skytrail.own_keys import own_keys
from skytrail.settings import Settings, engine_cache, environment_without_settings
from storage.verify.archive import examine
from storage.verify.findings import Summary
from storage.verify.ledger.pins import Pins
from storage.verify.places import Directory
from storage.verify.scope import Scope
from streams.status import Status, read_status, wait_until_caught_up

NAMESPACE = "demo"
ROLES = ("seal", "detect", "index", "rotate")
TIMEOUT_S = 300.0
TRAIL, CLUSTER = "trail", "cluster"

Tell = Callable[[str, int, int], None]
"""Label, done, total: for a progress display."""


@dataclass(slots=True)
class Demo:
    """One run.

    Attributes:
        settings: Of the demo: its own directory, its own engines.
        phases: Seconds per phase, in order.
    """

    directory: Path
    settings: Settings
    tell: Tell
    seed: int = SEED
    phases: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure a phase."""
        began = time.monotonic()
        yield
        self.phases[name] = round(time.monotonic() - began, 1)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a run ends with."""

    status: Status
    summary: Summary
    findings: tuple[str, ...]
    day: Day


def demo_directory(settings: Settings) -> Path:
    """Where the demo lies."""
    return settings.state_dir / "demo"


def clear(directory: Path) -> None:
    """Remove an earlier demo: its engines, its data, nothing else."""
    engines.remove(directory / "engines")
    shutil.rmtree(directory, ignore_errors=True)


def start_engines(user: Settings, tell: Tell, seed: int) -> tuple[Demo, Day]:
    """Start fresh engines and generate the day meanwhile."""
    directory = demo_directory(user)
    clear(directory)
    directory.mkdir(parents=True)
    bare = Settings.model_construct(state_dir=directory).model_copy()
    demo = Demo(directory, bare, tell, seed)
    with demo.phase("engines"):
        state = engines.start(
            directory / "engines",
            cache=engine_cache(),
            kafka_port=ports.any_free(),
            elasticsearch_port=ports.any_free(),
            progress=tell,
        )
    demo.settings = with_engines(bare, state)
    with demo.phase("generate"):
        day = generate(random.Random(seed), dt.datetime.now(dt.UTC))  # noqa: S311 - a seeded story, not a secret
        write_files(day, directory / "bucket")
    return demo, day


def start_roles(demo: Demo, processes: Processes) -> Endpoint:
    """Start the roles and the collectors; returns where audit batches are posted."""
    port = ports.any_free()
    certificate, key = write_certificate(demo.directory, dt.datetime.now(dt.UTC))
    token = secrets.token_urlsafe(24)
    token_file = demo.directory / "webhook.tokens"
    token_file.touch(mode=0o600)
    token_file.write_text(f"{CLUSTER} {token}\n")
    configuration = {
        "state_dir": str(demo.directory),
        "archive": {"segment_max_age_s": 1.0, "encryption": {"provider": "file"}},
        "collectors": {
            CLUSTER: {
                "transport": "kubernetes_webhook",
                "format": AUDIT,
                "namespace": NAMESPACE,
                "kubernetes_webhook": {
                    "port": port,
                    "certificate_file": str(certificate),
                    "key_file": str(key),
                    "token_file": str(token_file),
                },
            },
        },
    }
    config_file = demo.directory / "skytrail.toml"
    config_file.write_bytes(msgspec.toml.encode(configuration))
    for role in ROLES:
        processes.start(role, ["--config", str(config_file), "worker", role])
    processes.start(CLUSTER, ["--config", str(config_file), "collect", CLUSTER])
    return Endpoint(f"https://127.0.0.1:{port}/k8s/{CLUSTER}", token, certificate)


def trail_settings(demo: Demo) -> CollectorSettings:
    """The collector of the CloudTrail tree."""
    return checked_collector(
        transport="files",
        format=CLOUDTRAIL,
        namespace=NAMESPACE,
        files={"paths": (str(demo.directory / "bucket"),)},
    )


async def feed(demo: Demo, day: Day, endpoint: Endpoint, collect_trail: Callable[[], Any]) -> None:
    """Send the day: CloudTrail files through the files transport, audit batches through the webhook."""
    bodies = [file.body for file in day.of_format(AUDIT)]
    with demo.phase("feed"):
        await asyncio.gather(collect_trail(), post_batches(endpoint, bodies))


async def follow(demo: Demo, day: Day, processes: Processes) -> Status:
    """Show progress until every role has caught up.

    Raises:
        EngineError: A role ended, or the residue is not 0 in time.
    """
    kafka, formats = demo.settings.kafka, list(all_formats())
    deadline = time.monotonic() + TIMEOUT_S
    with demo.phase("catch_up"):
        while time.monotonic() < deadline:
            processes.check()
            status = await read_status(kafka, formats, NAMESPACE)
            done = status.totals["indexed"] + status.totals["duplicate"] + status.totals["dead_lettered"]
            demo.tell("indexed", done, day.expected.received)
            demo.tell("evaluated by rules", status.totals["evaluated"], day.expected.received)
            demo.tell("sealed", status.totals["sealed"], day.expected.received)
            if status.caught_up and status.totals["received"] >= day.expected.received:
                return await wait_until_caught_up(kafka, formats, timeout_s=30, namespace=NAMESPACE)
            await asyncio.sleep(0.5)
    raise EngineError(
        f"waiting for the roles: not caught up after {TIMEOUT_S:g} s, lag {dict(status.lag)}, {dict(status.totals)}",
        where=str(demo.directory / "logs"),
        mend="read the logs of the roles there; `skytrail doctor` checks this machine",
    )


def prove(demo: Demo, day: Day, status: Status) -> Proof:
    """Check the archive with the independent verifier."""
    summary = Summary()
    with demo.phase("verify"):
        place = Directory(demo.settings.archive_dir)
        pins = Pins(keys=own_keys(demo.settings, place))
        scope = Scope(pins=pins, keys=key_source(demo.settings), now=dt.datetime.now(dt.UTC))
        findings = tuple(str(f) for f in examine(place, scope, summary))
    return Proof(status, summary, findings, day)


def new_processes(demo: Demo) -> Processes:
    """The demo's children, which see none of the user's settings."""
    return Processes(demo.directory / "logs", environment_without_settings())


def stop(demo: Demo, processes: Processes, *, keep: bool) -> None:
    """End what the demo started; with `keep` leave it running."""
    if keep:
        return
    with demo.phase("stop"):
        processes.stop()
        engines.stop(demo.directory / "engines")
