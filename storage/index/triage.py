"""Writes what people decide about an alert into its state, with the analyst identity.

Detection updates the same document whenever the alert grows, and two people may decide at once. So a decision is made
upon one version of the document (`if_seq_no`, `if_primary_term`); when another was written meanwhile it is read again:
a new count changes nothing about the decision, a decision of somebody else does, and the later one is refused.
https://www.elastic.co/docs/reference/elasticsearch/rest-apis/optimistic-concurrency-control
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from detectors.triage import Change, ImpossibleChange, changed, people_part
from ingest.document import utc_millis
from ingest.schema.errors import IndexUnavailable
from storage.index.client import error_of, explain
from storage.index.names import ALERT_STATE_INDEX

ATTEMPTS: Final = 20
"""Versions that detection may write while one decision is being made."""
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Decided:
    """An alert's state after a decision.

    Attributes:
        entries: `skytrail.alert` of the state document.
        changed: Whether the decision changed anything.
    """

    id: str
    entries: dict[str, Any]
    changed: bool


@dataclass(frozen=True, slots=True)
class _Version:
    entries: dict[str, Any]
    seq_no: int
    primary_term: int


async def decide(client: AsyncElasticsearch, alert_id: str, change: Change, now: dt.datetime) -> Decided:
    """Write one decision.

    Args:
        client: Of the analyst identity.
        alert_id: Id of the alert.
        change: The decision.
        now: Time of the decision.

    Raises:
        ImpossibleChange: There is no such alert, it can't take this, or somebody else decided meanwhile.
        IndexUnavailable: Elasticsearch does not answer, refuses this identity, or the alert grows without a pause.
    """
    known = await _read(client, alert_id)
    first = people_part(known.entries)
    for _ in range(ATTEMPTS):
        part = changed(known.entries, change, now)
        if not part:
            return Decided(alert_id, known.entries, changed=False)
        if await _written(client, alert_id, known, part, now):
            return Decided(alert_id, {**known.entries, **part}, changed=True)
        known = await _read(client, alert_id)
        if people_part(known.entries) != first:
            raise ImpossibleChange(_overtaken(known.entries))
    raise IndexUnavailable(
        f"deciding about alert {alert_id}: its count changed {ATTEMPTS} times meanwhile", mend="try again"
    )


async def _read(client: AsyncElasticsearch, alert_id: str) -> _Version:
    try:
        got = await client.get(index=ALERT_STATE_INDEX, id=alert_id)
    except ApiError as exc:
        if exc.status_code == _NOT_FOUND and error_of(exc.body)[0] in ("", "index_not_found_exception"):
            raise ImpossibleChange("there is no such alert: `skytrail alerts list` shows the ids") from exc
        raise explain(exc, "reading the state of an alert", ALERT_STATE_INDEX) from exc
    except TransportError as exc:
        raise explain(exc, "reading the state of an alert", ALERT_STATE_INDEX) from exc
    entries = got["_source"].get("skytrail", {}).get("alert", {})
    return _Version(entries, got["_seq_no"], got["_primary_term"])


async def _written(
    client: AsyncElasticsearch, alert_id: str, known: _Version, part: dict[str, Any], now: dt.datetime
) -> bool:
    """Write a part upon a version; False when there is a newer version."""
    try:
        await client.update(
            index=ALERT_STATE_INDEX,
            id=alert_id,
            doc={"skytrail": {"alert": {**part, "updated": utc_millis(now)}}},
            if_seq_no=known.seq_no,
            if_primary_term=known.primary_term,
        )
    except ApiError as exc:
        if exc.status_code == _CONFLICT:
            return False
        raise explain(exc, "writing the state of an alert", ALERT_STATE_INDEX) from exc
    except TransportError as exc:
        raise explain(exc, "writing the state of an alert", ALERT_STATE_INDEX) from exc
    return True


def _overtaken(entries: dict[str, Any]) -> str:
    last = (entries.get("history") or [{}])[-1]
    who = f"{last.get('by', 'somebody')} ({last.get('action', 'change')})"
    return f"somebody else changed it meanwhile: {who}; it is {entries.get('status')} now. Look at it and try again"
