"""The real roles on real engines with pseudonyms on: the same alerts, nobody named, and an archive that proves it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch
from typer.testing import CliRunner, Result

from ingest.formats.registry import all_formats
from ingest.pseudonyms.key_file import add_key
from ingest.pseudonyms.settings import PseudonymSettings
from ingest.schema.errors import Refused
from skytrail.cli.main import build
from skytrail.reconciliation import IndexCheck
from storage.archive.stores.filesystem import FilesystemStore
from storage.verify.findings import Finding, Kind, Summary
from storage.verify.scope import Scope
from streams.status import wait_until_caught_up
from streams.topics import DEAD_LETTERS, raw_topic
from tests.faults.oracle import expectation, messages_of, shipped_engine, told_alerts
from tests.faults.road import Road, material, publish
from tests.skytrail.cli.test_hold import Office
from tests.skytrail.cli.test_retention import POLICY

pytestmark = [pytest.mark.faults, pytest.mark.engines]
NAMESPACE = "hidden"
ON = {"namespaces": [NAMESPACE]}
NAMES = ("alice", "bob", "mallory", "AIDAEXAMPLE", "198.51.100.")
WAIT_S = 120.0


class Staff(Office):
    """People of a policy, and the installation whose roles are running."""

    def __init__(self, road: Road, place: Path) -> None:
        self.place, self.file = place, road.config("cli", {"pseudonyms": ON})
        people = "\n[people]\n" + "\n".join(f'{name} = "{self.key(name)}"' for name in ("alice", "bob"))
        (place / "retention.toml").write_text(POLICY + people, "utf-8")
        self.run("retention", "adopt", str(place / "retention.toml"))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(build(arguments[0]), ["--config", str(self.file), *arguments], catch_exceptions=False)


async def stored(road: Road, index: str, query: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Documents, as an administrator sees them."""
    state = road.state
    client = AsyncElasticsearch(
        state.elasticsearch_url, basic_auth=("admin", state.elasticsearch_users["admin"]), request_timeout=30
    )
    try:
        await client.indices.refresh(index=index, ignore_unavailable=True, allow_no_indices=True)
        found = await client.search(
            index=index, query=query or {"match_all": {}}, size=5_000, ignore_unavailable=True, allow_no_indices=True
        )
        return [hit["_source"] for hit in found["hits"]["hits"]]
    finally:
        await client.close()


def compared(road: Road, settings: PseudonymSettings) -> list[Finding]:
    check = IndexCheck(
        road.settings.model_copy(update={"pseudonyms": settings}),
        FilesystemStore(road.settings.archive_dir),
        Scope(),
        dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
        Summary(),
        lambda _: None,
        namespaces=[NAMESPACE],
    )
    return list(check.check())


def by_rule(alerts: Mapping[tuple[str, str], Sequence[int]]) -> dict[str, list[int]]:
    """Counts of alerts, whoever they are about."""
    found: dict[str, list[int]] = defaultdict(list)
    for (rule, _), counts in alerts.items():
        found[rule] += counts
    return {rule: sorted(counts) for rule, counts in found.items()}


async def test_a_namespace_under_pseudonyms_is_detected_searched_verified_and_revealed(
    road: Road, tmp_path: Path
) -> None:
    add_key(road.directory / "pseudonyms" / "keys.json", road.settings.archive_dir, dt.datetime.now(dt.UTC), new=True)
    for role in ("detect", "index"):
        road.end(role, road.roles[role][0])
        road.start(role, pseudonyms=ON)
    await publish(road, material(77, NAMESPACE, 240))
    kafka, formats = road.settings.kafka, list(all_formats())
    status = await wait_until_caught_up(kafka, formats, timeout_s=240, namespace=NAMESPACE)
    assert status.caught_up, dict(status.lag)
    assert (status.totals["indexed"], status.totals["residue"]) == (240, 0)

    documents = await stored(road, f"logs-*-{NAMESPACE}-*")
    events = [each for each in documents if each["event"]["kind"] != "alert"]
    assert len(events) == 240
    assert [name for name in NAMES if name in json.dumps(documents)] == []
    people = {each["user"]["name"] for each in events}
    assert len(people) == 3, "one token for one person, in CloudTrail and in Kubernetes"

    raw = await messages_of(road, [*map(raw_topic, formats), DEAD_LETTERS])
    events_only = {key: raw[key] for key in raw if key[0] != DEAD_LETTERS}
    expected = by_rule(expectation(events_only, NAMESPACE, shipped_engine()).alerts)
    told = by_rule(await told_alerts(road, NAMESPACE))
    assert expected
    assert {rule: told.get(rule) for rule in expected} == expected
    states = await stored(road, "skytrail-alert-state", {"term": {"data_stream.namespace": NAMESPACE}})
    assert states
    assert [name for name in NAMES if name in json.dumps(states)] == []

    on = PseudonymSettings(namespaces=(NAMESPACE,))
    assert await asyncio.to_thread(compared, road, on) == []
    lost = await asyncio.to_thread(compared, road, PseudonymSettings(key_file=tmp_path / "none"))
    assert {finding.kind for finding in lost} == {Kind.UNCHECKED}

    staff = await asyncio.to_thread(Staff, road, tmp_path)
    await asyncio.to_thread(told_to_two, staff, max(people))
    await recorded(road, max(people))


def told_to_two(staff: Staff, token: str) -> None:
    """One alone is refused; two learn the name."""
    out = str(staff.place / "7.request")
    words = ("-n", NAMESPACE, "--reason", "CASE-7", "--by", "alice", "--key", str(staff.place / "alice.pem"))
    staff.run("pseudonyms", "request", token, *words, "--out", out)
    reveal = ("pseudonyms", "reveal", token, "--request", out, "-n", NAMESPACE, "-o", "json")
    with pytest.raises(Refused):
        staff.run(*reveal)
    staff.approve(out, "bob")
    (row,) = json.loads(staff.run(*reveal).stdout)
    assert row["value"] in NAMES


async def recorded(road: Road, token: str) -> None:
    """Both attempts are events of the product's own log, with who agreed."""
    query = {"term": {"event.action": "pseudonyms.reveal"}}
    deadline = time.monotonic() + WAIT_S
    while len(found := await stored(road, "logs-skytrail.audit-*", query)) < 2:
        assert time.monotonic() < deadline, "no record of it"
        await asyncio.sleep(1)
    assert sorted(each["event"]["outcome"] for each in found) == ["failure", "success"]
    assert all(token in json.dumps(each) for each in found)
    assert any('"bob"' in json.dumps(each) for each in found)
