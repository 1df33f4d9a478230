"""The role rotate on real engines: killed in the middle of its work, its successor ends what the policy asks for."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from pathlib import Path

import msgspec
import pytest

from ingest.settings import KafkaSettings
from skytrail.connections import DUTIES
from skytrail.explaining import of_record
from skytrail.settings import load
from storage.archive.chain import Chain
from storage.retention.record import Record, State
from storage.verify.archive import check
from streams.rotation import RotationReport, read_rotation
from tests.faults.road import spawn, wait_for
from tests.integration.test_retention import TOPIC, Scene, name, scene

__all__ = ["scene"]
pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]


def config(scene: Scene, engines) -> Path:
    """Settings of a worker on the archive of the scene."""
    users = engines.elasticsearch_users
    path = scene.root / "skytrail.toml"
    path.write_bytes(
        msgspec.toml.encode(
            {
                "state_dir": str(scene.root),
                "kafka": {
                    "bootstrap_servers": engines.kafka_bootstrap,
                    "security_protocol": engines.kafka_security_protocol,
                    "sasl_mechanism": engines.kafka_mechanism,
                    "username": engines.kafka_username,
                    "password": engines.kafka_password,
                },
                "elasticsearch": {
                    "url": engines.elasticsearch_url,
                    **{duty: {"username": duty, "password": users[duty]} for duty in DUTIES},
                },
                "ledger": {"keys_file": str(scene.root / "keys" / "keys.json")},
                "worker": {"session_timeout_s": 6},
                "retention": {"disk_interval_s": 0.5, "disk_warning_percent": 0.001},
            }
        )
    )
    return path


def went_on(scene: Scene) -> None:
    """The seal role tells of itself up to now: without it nothing is destroyed by anybody's clock."""
    chain = Chain(scene.store, scene.namespace, TOPIC, 0)
    chain.restore()
    until = dt.datetime.now(dt.UTC)
    for ago in range(80, -1, -20):
        scene.clock.now = until - dt.timedelta(hours=ago)
        scene.retaining.notary.tell_idle([chain])


def state_of(scene: Scene) -> State:
    """What the ledger says, read anew."""
    log = scene.retaining.notary.log(scene.namespace)
    log.load()
    return Record(scene.store, log).now()


async def test_a_worker_killed_in_mid_rotation_is_succeeded_by_one_that_ends_it(scene: Scene, engines) -> None:
    went_on(scene)
    settings = config(scene, engines)
    arguments = ["--config", str(settings), "worker", "rotate"]
    first = spawn(arguments, scene.root / "first.log")
    try:
        wait_for(lambda: bool(state_of(scene).tombstones), f"the first tombstone; {scene.root}", 60)
    finally:
        first.kill()
        first.wait()
    second = spawn(arguments, scene.root / "second.log")
    try:
        wait_for(functools.partial(_settled, scene), "the end of the rotation", 60)
        report = await _report(load(settings).kafka)
    finally:
        second.terminate()
        assert second.wait(40) == 0, (scene.root / "second.log").read_text()[-2000:]
    assert await scene.items(scene.clock.now) == {}
    state = state_of(scene)
    assert state.destroyed()[TOPIC, 0] == {0, 1}
    assert {stone.index for stone in state.tombstones.values() if stone.index} == {
        name(scene, day) for day in (20, 21, 22)
    }
    assert list(check(scene.root / "archive")) == []
    gone = of_record(scene.retaining, (TOPIC, 0, 0), scene.clock.now)["cold"]
    assert (gone["segment"], gone["decision"]) == (0, "DESTROYED")
    assert gone["destroyed_at"] == state.receipts[gone["tombstone"]].at
    assert of_record(scene.retaining, (TOPIC, 0, 2), scene.clock.now)["cold"]["destroyed_at"] is None
    assert (report.outcome, report.waiting) == ("done", ())
    assert [disk.warning for disk in report.disks] == [True]
    assert "a disk of Elasticsearch fills up" in (scene.root / "second.log").read_text()


def _settled(scene: Scene) -> bool:
    state = state_of(scene)
    return len(state.tombstones) >= 4 and not state.unfinished()


async def _report(kafka: KafkaSettings) -> RotationReport:
    for _ in range(60):
        report = await read_rotation(kafka)
        if report is not None and report.outcome == "done":
            return report
        await asyncio.sleep(0.5)
    raise AssertionError("no report of a round that was done")
