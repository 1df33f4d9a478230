"""What keeps one event, and until when (`skytrail retention explain`)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from elasticsearch import AsyncElasticsearch

from ingest.schema.errors import ConfigError
from skytrail.cli.context import Context
from skytrail.retaining import Retaining, open_retaining
from storage.archive.chain import Chain
from storage.archive.manifest import instant
from storage.index.client import connect
from storage.index.search import Hit, Query, search
from storage.index.visibility import make_visible
from storage.retention.entries import Tombstone
from storage.retention.holding import names_document, spans
from storage.retention.inventory import segment_facts
from storage.retention.record import State
from storage.retention.verdict import Subject, Tier, Verdict, bounds_of, judge
from streams.naming import dataset_of

_PLACE = re.compile(r"(?P<topic>[^/]+)/(?P<partition>\d+)/(?P<offset>\d+)(?:/\d+)?")
_MEND = "`skytrail search QUERY -o json` shows ids (_id) and places (skytrail.kafka)"
Place = tuple[str, int, int]
"""Topic, partition, offset."""


async def explained(context: Context, event: str, now: dt.datetime) -> dict[str, Any]:
    """What keeps an event.

    Args:
        context: Of the command.
        event: Document id, or topic/partition/offset/index.
        now: The present.

    Raises:
        ConfigError: There is no such event.
    """
    match = _PLACE.fullmatch(event)
    settings = context.settings if match else context.connected(kafka=False)
    retaining = open_retaining(settings, lambda: now, allow_delete=True)
    if match:
        return of_record(retaining, (match["topic"], int(match["partition"]), int(match["offset"])), now)
    client = connect(settings.elasticsearch, "reader")
    try:
        hit = await _document(client, event)
    finally:
        await client.close()
    return of_document(retaining, hit, now)


def of_document(retaining: Retaining, hit: Hit, now: dt.datetime) -> dict[str, Any]:
    """What keeps a document and the record it was made of."""
    source = hit.source
    stream, times = source["data_stream"], source.get("event", {})
    at = dt.datetime.fromisoformat(source["@timestamp"])
    received = dt.datetime.fromisoformat(times.get("ingested") or source["@timestamp"])
    stamp = source.get("skytrail", {}).get("retention", {}).get("hot_until")
    subject = Subject(
        namespace=stream["namespace"],
        dataset=stream["dataset"],
        event=at,
        received=received,
        promised=dt.datetime.fromisoformat(stamp) if stamp else None,
    )
    state = _state(retaining, subject.namespace)
    holds = [hold.id for hold in state.open_holds() if names_document(hold, source, subject.dataset, at)]
    kafka = source.get("skytrail", {}).get("kafka")
    place = (kafka["topic"], kafka["partition"], kafka["offset"]) if kafka else None
    found = _head(subject, state, holds) | {"document": f"{hit.index}/{hit.id}"}
    found["hot"] = _tier("hot", subject, state, holds, now)
    if place is not None:
        found["cold"] = _cold(retaining, subject.namespace, place, state, holds, now)
    return found


def of_record(retaining: Retaining, place: Place, now: dt.datetime) -> dict[str, Any]:
    """What keeps a record that is known by its place alone."""
    for namespace in retaining.namespaces():
        chain = Chain(retaining.store, namespace, place[0], place[1])
        chain.restore()
        manifest = chain.find(place[2])
        if manifest is None or manifest.span_of(place[2]) is None:
            continue
        state = _state(retaining, namespace)
        segment = segment_facts(retaining.store, namespace, place[0], place[1], manifest.seq)
        dataset = dataset_of(place[0])
        subject = Subject(namespace=namespace, dataset=dataset, event=segment.received, received=segment.received)
        holds = [hold.id for hold in state.open_holds() if spans(hold, dataset, None, segment.received)]
        found = _head(subject, state, holds)
        return found | {"cold": _cold(retaining, namespace, place, state, holds, now)}
    raise ConfigError(f"looking for the record {'/'.join(map(str, place))}: the archive has none there", mend=_MEND)


def _cold(
    retaining: Retaining, namespace: str, place: Place, state: State, holds: list[str], now: dt.datetime
) -> dict[str, Any]:
    """What keeps the segment of a record."""
    topic, partition, offset = place
    chain = Chain(retaining.store, namespace, topic, partition)
    chain.restore()
    manifest = chain.find(offset)
    if manifest is None:
        return {"segment": None, "because": "it is not sealed yet"}
    segment = segment_facts(retaining.store, namespace, topic, partition, manifest.seq)
    dataset = dataset_of(topic)
    subject = Subject(
        namespace=namespace,
        dataset=dataset,
        event=segment.received,
        received=segment.received,
        promised=segment.promised,
    )
    whole = [hold.id for hold in state.open_holds() if spans(hold, dataset, None, segment.received)]
    told = _tier("cold", subject, state, sorted({*holds, *whole}), now)
    stone = next((each for each in state.tombstones.values() if _names(each, place, manifest.seq)), None)
    receipt = state.receipts.get(stone.id) if stone else None
    gone = {"tombstone": stone.id if stone else None, "destroyed_at": receipt.at if receipt else None}
    if stone is not None and receipt is not None:  # what would be decided now is of no use any more
        told = {"decision": "DESTROYED", "until": stone.until, "because": stone.because, "bounds": []}
    return {"segment": manifest.seq, **gone, **told}


def _names(stone: Tombstone, place: Place, seq: int) -> bool:
    return (stone.topic, stone.partition) == place[:2] and any(segment.seq == seq for segment in stone.segments)


def _head(subject: Subject, state: State, holds: list[str]) -> dict[str, Any]:
    rule = state.policy.class_of(subject.namespace, subject.dataset) if state.policy else None
    return {
        "namespace": subject.namespace,
        "dataset": subject.dataset,
        "policy": state.policy.name if state.policy else None,
        "class": rule.name if rule else None,
        "happened": instant(subject.event),
        "received": instant(subject.received),
        "holds": holds,
    }


def _tier(tier: Tier, subject: Subject, state: State, holds: list[str], now: dt.datetime) -> dict[str, Any]:
    verdict: Verdict = judge(tier, subject, state.policies, holds, now)
    bounds = [
        {"kind": kind, "until": instant(limit.at), "because": limit.because}
        for kind, limit in sorted(
            bounds_of(tier, subject, state.policies, now), key=lambda each: (each[1].at, each[0], each[1].because)
        )
    ]
    until = instant(verdict.until) if verdict.until else None
    return {"decision": str(verdict.decision), "until": until, "because": verdict.because, "bounds": bounds}


def _state(retaining: Retaining, namespace: str) -> State:
    return retaining.record(namespace).now() if namespace in retaining.namespaces() else State()


async def _document(client: AsyncElasticsearch, event: str) -> Hit:
    await make_visible(client)
    async with aclosing(search(client, Query(f'_id:"{event}"'), limit=2)) as hits:
        found = [hit async for hit in hits]
    if len(found) != 1 or not isinstance(found[0].source.get("data_stream"), Mapping):
        count = "none" if not found else f"{len(found)} of them"
        raise ConfigError(f"looking for document {event}: there is {count}", mend=_MEND)
    return found[0]
