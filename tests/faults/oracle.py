"""What must hold after every fault, derived anew from what Kafka holds: nothing lost or twice, all accounted for."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_scan

from detectors.detection import Detection, detect
from detectors.proving import OWN_RULES, no_file
from detectors.rulebook import load
from detectors.sigma.engine import InterpretedEngine
from detectors.suppression import GroupState, Opened, state_key, step
from ingest.formats.registry import all_formats
from ingest.kafka_client import client_options
from ingest.schema import envelope as wire
from ingest.schema.envelope import Position
from ingest.schema.errors import UnsupportedEnvelope
from storage.archive.contents import of_envelope, of_letter
from storage.archive.reader import ArchiveReader
from storage.archive.stores.filesystem import FilesystemStore
from storage.verify.archive import check
from streams.accounting import merge_latest
from streams.accounts import read_compacted
from streams.preparing import Limits, PreparedMessage, prepare
from streams.status import Status, ends_of, topics_read, wait_until_caught_up
from streams.topics import ACCOUNTING, DEAD_LETTERS, raw_topic
from tests.faults.road import ROLES, Road
from tests.storage.ledger.oracle import ledgers_tell_of_every_segment

LIMITS = Limits.of(24, 3660)
Alerts = dict[tuple[str, str], list[int]]
"""(rule, group) → exact counts of its alerts, ascending."""


@dataclass(slots=True)
class Expected:
    """What one namespace must come to, by what lies in the raw topics.

    Attributes:
        versions: (uid, leaf) of every different record.
        uids: Of every event.
    """

    received: int = 0
    refused: int = 0
    versions: set[tuple[str, str]] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    alerts: Alerts = field(default_factory=dict)

    @property
    def equivocations(self) -> int:
        return len(self.versions) - len(self.uids)


async def messages_of(road: Road, topics: list[str]) -> dict[tuple[str, int], dict[int, bytes]]:
    """Every message that the brokers hold: (topic, partition) → offset → value."""
    found: dict[tuple[str, int], dict[int, bytes]] = {}
    consumer = AIOKafkaConsumer(
        **client_options(road.settings.kafka), enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        count = road.settings.kafka.partitions
        partitions = [TopicPartition(topic, number) for topic in topics for number in range(count)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        for tp in partitions:
            into = found.setdefault((tp.topic, tp.partition), {})
            while await consumer.position(tp) < ends[tp]:
                for message in (await consumer.getmany(tp, timeout_ms=500)).get(tp, []):
                    into[message.offset] = message.value or b""
    finally:
        await consumer.stop()
    return found


@functools.cache
def shipped_engine() -> InterpretedEngine:
    """The shipped rules; loaded once."""
    return InterpretedEngine(load([OWN_RULES], {}, prove=no_file).rules)


def expectation(
    raw: Mapping[tuple[str, int], Mapping[int, bytes]], namespace: str, engine: InterpretedEngine
) -> Expected:
    """What the namespace must come to."""
    expected = Expected()
    detections: list[Detection] = []
    now = dt.datetime.now(dt.UTC)
    for (topic, partition), values in raw.items():
        for offset, value in values.items():
            try:
                if wire.decode(value).header.namespace != namespace:
                    continue
            except UnsupportedEnvelope:
                continue
            message = prepare(value, Position(topic, partition, offset), now, LIMITS)
            if message.header is None:
                continue
            expected.received += message.received
            expected.refused += len(message.letters)
            for record in message.records:
                expected.versions.add((record.identified.uid, record.identified.leaf.hex()))
                expected.uids.add(record.identified.uid)
            detections += _detections(engine, message)
    expected.alerts = _alerts(detections)
    return expected


def _detections(engine: InterpretedEngine, message: PreparedMessage) -> list[Detection]:
    if message.format is None:
        return []
    views, identified = [], []
    for record in message.records:
        view = message.format.view(record.record)
        if view.final:
            view.ecs = record.identified.document
            views.append(view)
            identified.append(record.identified)
    return detect(
        engine, views, identified, message.format.log_source, ruleset_version="oracle", index_of=lambda _: "any"
    )


def _alerts(detections: list[Detection]) -> Alerts:
    """Folded in an order of its own: the counts must not depend on it."""
    random.Random(7).shuffle(detections)
    states: dict[tuple[str, str, str], GroupState] = {}
    windows: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    for detection in detections:
        key = state_key(detection)
        states[key], outcome = step(states.get(key), detection)
        windows[key][outcome.alert_id] = outcome.window.count
        assert isinstance(outcome, Opened) or outcome.alert_id in windows[key]
    return {(rule, group): sorted(counts.values()) for (rule, _, group), counts in windows.items()}


async def documents(road: Road, namespace: str) -> list[dict[str, Any]]:
    """Every event document of a namespace."""
    return await _search(road, f"logs-*-{namespace}-*,-logs-skytrail.*", ["skytrail.uid", "event.hash"])


async def told_alerts(road: Road, namespace: str) -> Alerts:
    """The alerts as the index tells them; every one must be there as document and as state."""
    alerts = await _search(road, f"logs-skytrail.alert-{namespace}-*", ["rule.id"])
    states = [
        state
        for state in await _search(road, "skytrail-alert-state", ["data_stream", "rule.id", "skytrail.alert"])
        if state["_source"]["data_stream"]["namespace"] == namespace
    ]
    assert {alert["_id"] for alert in alerts} == {state["_id"] for state in states}
    found: Alerts = defaultdict(list)
    for state in states:
        told = state["_source"]["skytrail"]["alert"]
        found[state["_source"]["rule"]["id"], told["group_key"]].append(told["count"])
    return {key: sorted(counts) for key, counts in found.items()}


async def _search(road: Road, index: str, fields: list[str]) -> list[dict[str, Any]]:
    state = road.state
    client = AsyncElasticsearch(
        state.elasticsearch_url, basic_auth=("admin", state.elasticsearch_users["admin"]), request_timeout=30
    )
    try:
        await client.indices.refresh(index=index, ignore_unavailable=True, allow_no_indices=True)
        return [
            hit
            async for hit in async_scan(
                client, index=index, size=5_000, source_includes=fields, ignore_unavailable=True, allow_no_indices=True
            )
        ]
    finally:
        await client.close()


async def counted(road: Road) -> list[int]:
    """How many messages each role has done so far, in the order of `ROLES`: grows while it works."""
    accounts = merge_latest([value for _, value in await read_compacted(road.settings.kafka, ACCOUNTING)]).values()
    return [sum(account.next_offset for account in accounts if account.role == role) for role in ROLES]


async def unfinished(road: Road) -> list[tuple[str, str, int, int, int]]:
    """Where an agent is behind: role, topic, partition, the offset it has to do next, the end."""
    ends = await ends_of(road.settings.kafka, topics_read(list(all_formats())))
    accounts = merge_latest([value for _, value in await read_compacted(road.settings.kafka, ACCOUNTING)]).values()
    return [
        (account.role, account.topic, account.partition, account.next_offset, end)
        for account in accounts
        if (end := ends.get((account.topic, account.partition), 0)) > account.next_offset
    ]


async def advanced(road: Road, timeout_s: float = 150.0) -> None:
    """Wait until every role has done more than now: it works, and it is in mid-stream."""
    before = now = await counted(road)
    async with asyncio.timeout(timeout_s):
        while not all(count > then for count, then in zip(now, before, strict=True)):
            await asyncio.sleep(0.1)
            now = await counted(road)


def archive_holds(road: Road, raw: Mapping[tuple[str, int], Mapping[int, bytes]]) -> None:
    """Archive and ledgers are clean and hold every record of Kafka once per offset, and nothing else.

    That no seal worker ran for a time, as after a failed test, is declared in the ledger: it is no fault of this one.
    """
    found = [finding for finding in check(road.settings.archive_dir) if not finding.declared]
    assert found == [], found[:3]
    ledgers_tell_of_every_segment(road.settings.archive_dir)
    sealed: Counter[tuple[str, int, int, int, bytes]] = Counter()
    reader = ArchiveReader(FilesystemStore(road.settings.archive_dir))
    for namespace in reader.namespaces():
        for record in reader.records(namespace):
            at = record.position
            sealed[at.topic, at.partition, at.offset, at.index, record.body] += 1
    expected: Counter[tuple[str, int, int, int, bytes]] = Counter()
    for (topic, partition), values in raw.items():
        for offset, value in values.items():
            content = of_letter(value) if topic == DEAD_LETTERS else of_envelope(value)
            expected.update((topic, partition, offset, index, body) for index, body in enumerate(content.records))
    assert sealed == expected


async def settled(road: Road, namespace: str, *, timeout_s: float = 240.0) -> tuple[Expected, Status]:
    """Wait until the road is at rest, then hold it against what Kafka holds.

    Raises:
        AssertionError: Something is lost, there twice, or unaccounted for.
    """
    formats = list(all_formats())
    status = await wait_until_caught_up(road.settings.kafka, formats, timeout_s=timeout_s, namespace=namespace)
    logs = "\n".join(each.name + ":\n" + each.tail() for roles in road.roles.values() for each in roles)
    if not status.caught_up:
        behind = await unfinished(road)
        raise AssertionError(f"lag {dict(status.lag)} in {behind}, totals {dict(status.totals)}\n{logs}")
    raw = await messages_of(road, [*map(raw_topic, formats), DEAD_LETTERS])
    expected = expectation({key: raw[key] for key in raw if key[0] != DEAD_LETTERS}, namespace, shipped_engine())
    found = await documents(road, namespace)
    versions = Counter((d["_source"]["skytrail"]["uid"], d["_source"]["event"]["hash"]) for d in found)
    assert versions == Counter(expected.versions)
    totals = status.totals
    assert (totals["received"], totals["sealed"], totals["evaluated"]) == (expected.received,) * 3
    assert totals["indexed"] == len(expected.versions)
    assert totals["dead_lettered"] == expected.refused
    assert totals["duplicate"] == expected.received - expected.refused - len(expected.versions)
    assert totals["residue"] == 0
    archive_holds(road, raw)
    told = await told_alerts(road, namespace)
    by_event = {rule.id for rule in shipped_engine().rules}  # correlations and silent sources have tests of their own
    of_events = {key: counts for key, counts in told.items() if key[0] in by_event}
    apart = {
        key: (of_events.get(key), counts) for key, counts in expected.alerts.items() if of_events.get(key) != counts
    }
    assert of_events == expected.alerts, (
        f"told and expected: {apart}, not expected: {of_events.keys() - expected.alerts}"
    )
    return expected, status
