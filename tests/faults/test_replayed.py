"""`skytrail replay` of what the running roles wrote: alerts are told apart, documents come back as they were."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import ApiError, AsyncElasticsearch
from elasticsearch.helpers import async_bulk, async_scan

from tests.faults.material import CLOUDTRAIL, SPAN_S, cloudtrail, envelopes
from tests.faults.oracle import settled
from tests.faults.road import START_TIMEOUT_S, Road, material, publish, spawn, told

pytestmark = [pytest.mark.faults, pytest.mark.engines]
STOPPED = "aws-trail-stopped"
PEOPLE = 12  # who each stop the trail once
RECORDS = 1_500  # a replay writes them in several requests, and can be killed between them
Documents = Mapping[tuple[str, str], Any]
"""Content by index and id."""


@contextlib.asynccontextmanager
async def administrator(road: Road) -> AsyncIterator[AsyncElasticsearch]:
    """Whoever may do anything to the index."""
    login = ("admin", road.state.elasticsearch_users["admin"])
    async with AsyncElasticsearch(road.state.elasticsearch_url, basic_auth=login, request_timeout=30) as client:
        yield client


async def stored(client: AsyncElasticsearch, index: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Every document of some indices."""
    await client.indices.refresh(index=index, ignore_unavailable=True)
    found = async_scan(client, index=index, size=1_000, ignore_unavailable=True)
    return {(hit["_index"], hit["_id"]): hit["_source"] async for hit in found}


async def begun_to_hold(client: AsyncElasticsearch, index: str) -> bool:
    """Whether some indices hold a document; new ones answer only when their shards have started."""
    with contextlib.suppress(ApiError):
        now = client.options(max_retries=0)
        await now.indices.refresh(index=index, ignore_unavailable=True)
        return bool((await now.count(index=index, ignore_unavailable=True))["count"])
    return False


async def resting(client: AsyncElasticsearch, index: str) -> int:
    """How many documents there are once what a dead client had asked for last is done."""
    there = -1
    while (now := len(await stored(client, index))) != there:
        there = now
        await asyncio.sleep(1)
    return there


def stopping(rng: random.Random, now: dt.datetime, people: int) -> list[bytes]:
    """Records of different people, each of whom stops the trail, among calls that no rule matches."""
    records = [json.loads(record) for record in cloudtrail(rng, 3 * people, now)]
    for number, record in enumerate(records):
        name, stops = f"person-{rng.getrandbits(48):x}", number < people
        own = {"userName": name, "arn": f"arn:aws:iam::111122223333:user/{name}", "principalId": f"AIDA{name.upper()}"}
        record["userIdentity"] |= own
        source = "cloudtrail.amazonaws.com" if stops else "ec2.amazonaws.com"
        record |= {"eventSource": source, "eventName": "StopLogging" if stops else "DescribeInstances"}
        record["requestParameters"] = {"name": "main"} if stops else {"maxResults": 5}
    rng.shuffle(records)
    return [json.dumps(record, separators=(",", ":")).encode() for record in records]


async def compared(config: Path, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code of `replay alerts`, and its rows by rule."""
    code, rows, _ = await asyncio.to_thread(told, config, "replay", "alerts", *arguments)
    return code, {row["rule_id"]: row for row in rows}


def counts(rows: Mapping[str, Mapping[str, Any]]) -> Mapping[str, tuple[int, int, int]]:
    """(new, gone, the same) of the rules that have any."""
    found = {rule_id: (row["new"], row["gone"], row["same"]) for rule_id, row in rows.items()}
    return {rule_id: each for rule_id, each in found.items() if any(each)}


async def test_alerts_that_were_deleted_altered_or_forged_are_told_and_those_of_a_new_rule(
    road: Road, tmp_path: Path
) -> None:
    namespace, rng = "realerted", random.Random(5)
    then = (dt.datetime.now(dt.UTC) - dt.timedelta(days=40)).replace(minute=30, second=0, microsecond=0)
    later = then + dt.timedelta(hours=3)
    within = ("--from", (then - dt.timedelta(seconds=SPAN_S + 120)).isoformat(), "--to", then.isoformat())
    records = [*stopping(rng, then, PEOPLE), *stopping(rng, later, 2)]
    await publish(road, list(envelopes(namespace, CLOUDTRAIL, records)))
    await settled(road, namespace)
    config, index = road.config("replay", {}), f"logs-skytrail.alert-{namespace}-*"
    async with administrator(road) as admin:
        code, rows = await compared(config, *within)
        assert code in (0, 5)  # 5: other tests on this road sealed what is no record, and that can't be judged
        assert counts(rows)[STOPPED] == (0, 0, PEOPLE)
        assert {(new, gone) for new, gone, _ in counts(rows).values()} == {(0, 0)}
        before = counts(rows)

        alerts = sorted(
            (key, alert)
            for key, alert in (await stored(admin, index)).items()
            if alert["rule"]["id"] == STOPPED and alert["event"]["start"] < then.isoformat()
        )
        (deleted, lost), (altered, moved), (copied, forged) = alerts[:3]
        await admin.delete(index=deleted[0], id=deleted[1])
        at = dt.datetime.fromisoformat(moved["event"]["start"]) - dt.timedelta(seconds=1)
        await admin.update(index=altered[0], id=altered[1], doc={"event": {"start": at.isoformat()}})
        forged["skytrail"]["alert"]["group_key"] = "somebody"
        await admin.index(index=copied[0], id="forged", document=forged, refresh=True)
        code, rows = await compared(config, *within)
        assert code == 1
        assert counts(rows) == before | {STOPPED: (2, 2, PEOPLE - 2)}
        changes = Counter((each["change"], each["group"]) for each in rows[STOPPED]["changes"])
        groups = [each["skytrail"]["alert"]["group_key"] for each in (lost, moved, forged)]
        assert changes == Counter([("new", groups[0]), ("new", groups[1]), ("gone", groups[1]), ("gone", groups[2])])

    added = "title: x\nname: test-added\nlevel: low\nlogsource: {product: aws, service: cloudtrail}\n"
    (tmp_path / "added.yml").write_text(
        added + "detection: {s: {eventName: DescribeInstances}, condition: s}\n", "utf-8"
    )
    changed = road.config("replay-changed", {"detection": {"rules": [str(tmp_path)]}})
    code, rows = await compared(changed, *within)
    assert (code, counts(rows)["test-added"]) == (1, (2 * PEOPLE, 0, 0))
    assert counts(rows)[STOPPED] == (2, 2, PEOPLE - 2)
    code, rows = await compared(changed, "test-added", *within)
    assert (code, counts(rows)) == (1, {"test-added": (2 * PEOPLE, 0, 0)})


def bytes_of(documents: Documents) -> dict[tuple[str, str], str]:
    """Documents as they are stored, but for the moment at which they were written."""
    found = {}
    for key, document in documents.items():
        assert document["event"]["ingested"]
        found[key] = json.dumps(document | {"event": document["event"] | {"ingested": ""}})
    return found


async def findings(road: Road, namespace: str, begun: dt.datetime) -> list[Any]:
    """What `verify --index` finds about a namespace."""
    words = ("verify", "--index", "--from", begun.isoformat())
    _, said, _ = await asyncio.to_thread(told, road.config("verify", {}), *words)
    return [finding for finding in said["findings"] if finding["namespace"] == namespace]


async def test_documents_come_back_under_their_ids_also_when_a_replay_is_killed_amid_them(road: Road) -> None:
    namespace, begun = "rewritten", dt.datetime.now(dt.UTC)
    await publish(road, material(9, namespace, RECORDS))
    await settled(road, namespace)
    config, index = road.config("replay", {}), f"logs-*-{namespace}-*,-logs-skytrail.*"
    words = ("replay", "index", "--namespace", namespace)
    async with administrator(road) as admin:
        before = bytes_of(await stored(admin, index))
        assert len(before) == RECORDS

        some = sorted(before)[::3]
        deletions = ({"_op_type": "delete", "_index": name, "_id": id_} for name, id_ in some)
        assert await async_bulk(admin, deletions, refresh=True) == (len(some), [])
        code, said, _ = await asyncio.to_thread(told, config, *words)
        assert (code, said["compared"]["new"], said["compared"]["same"]) == (0, len(some), RECORDS - len(some))
        assert bytes_of(await stored(admin, index)) == before

        await admin.indices.delete(index=sorted({name for name, _ in before}))
        replay = spawn(["--config", str(config), *words], road.directory / "replay.log")
        deadline = time.monotonic() + START_TIMEOUT_S
        while not await begun_to_hold(admin, index):
            assert time.monotonic() < deadline
            assert replay.poll() is None, (road.directory / "replay.log").read_text("utf-8")
        replay.kill()
        replay.wait()
        there = await resting(admin, index)
        assert 0 < there < RECORDS, "it was not killed amid its work"
        code, said, _ = await asyncio.to_thread(told, config, *words)
        assert (code, said["compared"]["new"], said["compared"]["same"]) == (0, RECORDS - there, there)
        assert bytes_of(await stored(admin, index)) == before
    assert await findings(road, namespace, begun) == []
