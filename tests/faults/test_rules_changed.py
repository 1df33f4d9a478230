"""Rules that change under a running detect role: the new set fires without a restart, a broken one is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch

from detectors.rulebook import load
from streams.seen import read_ledger, read_spans
from streams.topics import raw_topic
from tests.faults.oracle import advanced
from tests.faults.road import Road, feeding, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.engines]
NAMESPACE = "reloaded"
WAIT_S = 240.0


def rule(name: str, event_name: str) -> str:
    return f"""
title: {name}
name: {name}
level: high
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{eventName: {event_name}}}, condition: s}}
"""


async def versions_of(road: Road, rule_id: str) -> Mapping[str, int]:
    """Rule-set version → alerts of a rule that carry it."""
    state = road.state
    client = AsyncElasticsearch(
        state.elasticsearch_url, basic_auth=("admin", state.elasticsearch_users["admin"]), request_timeout=30
    )
    index = f"logs-skytrail.alert-{NAMESPACE}-*"
    try:
        await client.indices.refresh(index=index, ignore_unavailable=True, allow_no_indices=True)
        found: Any = await client.search(
            index=index,
            query={"term": {"rule.id": rule_id}},
            size=1_000,
            source_includes=["skytrail.alert.ruleset_version"],
            ignore_unavailable=True,
            allow_no_indices=True,
        )
    finally:
        await client.close()
    told = [hit["_source"]["skytrail"]["alert"]["ruleset_version"] for hit in found["hits"]["hits"]]
    return {version: told.count(version) for version in told}


async def wait_for_alerts(road: Road, rule_id: str) -> Mapping[str, int]:
    deadline = time.monotonic() + WAIT_S
    while not (found := await versions_of(road, rule_id)):
        assert time.monotonic() < deadline, f"no alert of {rule_id}"
        await asyncio.sleep(1)
    return found


async def test_a_running_role_takes_a_sound_set_and_refuses_a_broken_one(road: Road, tmp_path: Path) -> None:
    (tmp_path / "first.yml").write_text(rule("test-first", "StopLogging"), "utf-8")
    before = load([tmp_path]).version
    road.end("detect", road.roles["detect"][0])
    role = road.start("detect", detection={"rules": [str(tmp_path)], "shipped_rules": False, "reload_interval_s": 1})
    async with feeding(road, NAMESPACE, 91):
        assert set(await wait_for_alerts(road, "test-first")) == {before}

        (tmp_path / "broken.yml").write_text(rule("test-broken", "X").replace("condition: s", "condition: t"), "utf-8")
        wait_for(lambda: role.said("rules refused"), "the broken set is refused")
        await advanced(road)
        assert not role.said("rules reloaded")

        (tmp_path / "broken.yml").unlink()
        (tmp_path / "second.yml").write_text(rule("test-second", "DeactivateMFADevice"), "utf-8")
        wait_for(lambda: role.said("rules reloaded"), "the sound set is taken")
        after = load([tmp_path]).version
        assert after != before
        assert set(await wait_for_alerts(road, "test-second")) == {after}
        kafka = road.settings.kafka
        ledger, spans = await read_ledger(kafka), await read_spans(kafka, [raw_topic("aws.cloudtrail")], None, None)
        seen = {answer: {part.version for part in ledger.seen("test-second", spans) if part.seen == answer}
                for answer in ("yes", "no")}  # fmt: skip
        assert seen["yes"] == {after}
        assert before in seen["no"]
        assert ledger.sets[before].find("test-second") is None
        told = ledger.sets[after].find("test-second")
        assert told is not None
        assert "DeactivateMFADevice" in ledger.sets[after].files[told.file]
    assert role.process.poll() is None, "it is the process that was started first"
