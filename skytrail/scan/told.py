"""The alerts that Elasticsearch holds, in the terms of a back-test, so that one can be compared with them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from elasticsearch import AsyncElasticsearch

from ingest.document import utc_millis
from skytrail.scan.outcome import Key, Told
from storage.index.alerts import Alert, alerts
from storage.index.search import Query


async def alerts_there(
    client: AsyncElasticsearch,
    rules: Collection[str],
    correlations: Collection[str],
    start: dt.datetime | None,
    end: dt.datetime | None,
) -> dict[Key, Told]:
    """The alerts of some rules whose first match lies in a time.

    Args:
        client: Of the reader identity.
        rules: Ids.
        correlations: Those of them that are correlations.
        start: Earliest event time, inclusive.
        end: Latest event time, exclusive.

    Raises:
        IndexUnavailable: Elasticsearch does not answer.
        Refused: This identity may not read alerts.
    """
    low, high = (utc_millis(each) if each else "*" for each in (start, end))
    query = Query(text=f'event.start:["{low}" TO "{high}"}}' if start or end else "*", oldest_first=True)
    found = {}
    async for alert in alerts(client, query, limit=None):
        told = told_of(alert, correlations)
        if told.rule_id in rules:
            found[told.key] = told
    return found


def told_of(alert: Alert, correlations: Collection[str]) -> Told:
    """An alert as it was when it opened."""
    document = alert.document
    rule_id = str(document.get("rule", {}).get("id", ""))
    event, own = document.get("event", {}), document.get("skytrail", {})
    return Told(
        rule_id=rule_id,
        at=str(event.get("start", "")),
        group=str(own.get("alert", {}).get("group_key", "")),
        principal=str(own.get("principal", {}).get("display", "")),
        uid=alert.id,
        reason=str(event.get("reason", "")),
        namespace=str(document.get("data_stream", {}).get("namespace", "")),
        alert=alert.id if rule_id in correlations else "",
    )
