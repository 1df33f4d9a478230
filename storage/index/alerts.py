"""Reads alerts joined with their triage state, with the reader identity."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from storage.index.client import explain
from storage.index.names import ALERT_DATASET, ALERT_STATE_INDEX, pattern
from storage.index.search import Hit, Query, search

_JOINED_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as people see it: the immutable document and what has become of it since.

    Attributes:
        document: As it was written.
        state: The state document; empty when there is none yet.
    """

    id: str
    index: str
    document: dict[str, Any]
    state: dict[str, Any]

    @property
    def status(self) -> str:
        """`open` until a person says otherwise."""
        return str(self.now("status") or "open")

    @property
    def count(self) -> int:
        """How many actions it stands for by now."""
        return int(self.now("count") or 1)

    def now(self, entry: str) -> Any:
        """The entry of `skytrail.alert` in the state, else in the alert."""
        for source in (self.state, self.document):
            found = source.get("skytrail", {}).get("alert", {}).get(entry)
            if found is not None:
                return found
        return None


async def alerts(
    client: AsyncElasticsearch, query: Query, *, status: str | None = None, limit: int | None = 100
) -> AsyncGenerator[Alert, None]:
    """Alerts, newest first unless the query says otherwise.

    Args:
        client: Of the reader identity.
        query: As for events; its data set is ignored.
        status: Only those with this status now.
        limit: At most so many; None for all.

    Raises:
        ConfigError: The query can't be parsed.
        IndexUnavailable: Elasticsearch does not answer.
        Refused: This identity may not read alerts.
    """
    found = 0
    waiting: list[Hit] = []
    in_alerts = dataclasses.replace(query, dataset=ALERT_DATASET)
    wanted = limit if status is None else None  # the status is known only after the join
    async with aclosing(search(client, in_alerts, limit=wanted)) as hits:
        async for hit in hits:
            waiting.append(hit)
            if len(waiting) < _JOINED_AT_ONCE:
                continue
            for alert in await _joined(client, waiting, status):
                if found == limit:
                    return
                found += 1
                yield alert
            waiting = []
    for alert in await _joined(client, waiting, status):
        if found == limit:
            return
        found += 1
        yield alert


async def alert_by_id(client: AsyncElasticsearch, alert_id: str) -> Alert | None:
    """One alert with its state, or None when there is none (yet: see `search` on visibility).

    Raises:
        IndexUnavailable: Elasticsearch does not answer or refuses this identity.
    """
    try:
        answer = await client.search(
            index=pattern(ALERT_DATASET), query={"ids": {"values": [alert_id]}}, size=1, ignore_unavailable=True
        )
    except (ApiError, TransportError) as exc:
        raise explain(exc, "reading an alert") from exc
    hits = [Hit(hit["_index"], hit["_id"], hit["_source"]) for hit in answer["hits"]["hits"]]
    return next(iter(await _joined(client, hits, None)), None)


async def _joined(client: AsyncElasticsearch, hits: Sequence[Hit], status: str | None) -> list[Alert]:
    """The alerts of `hits` with their states; states are read by id, so they are never stale."""
    if not hits:
        return []
    try:
        answer = await client.mget(docs=[{"_index": ALERT_STATE_INDEX, "_id": hit.id} for hit in hits])
    except (ApiError, TransportError) as exc:
        raise explain(exc, "reading the state of alerts") from exc
    states = {each["_id"]: each["_source"] for each in answer["docs"] if each.get("found")}
    joined = [Alert(hit.id, hit.index, hit.source, states.get(hit.id, {})) for hit in hits]
    return [alert for alert in joined if status is None or alert.status == status]
