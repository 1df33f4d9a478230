"""Reports on a real Elasticsearch: days with events per source, and who did what."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from elasticsearch import AsyncElasticsearch

from ingest.document import Receipt, complete
from ingest.formats.contract import Format
from ingest.formats.registry import format_named
from ingest.schema.action import Action, encode
from ingest.settings import AuditSettings, KafkaSettings
from skytrail.reports.gathering import Asked
from skytrail.reports.kinds import access, completeness
from skytrail.reports.report import Section, Verdict
from skytrail.settings import Settings
from storage.index.bulk import BulkItem
from storage.index.client import connect
from storage.index.documents import serialise
from storage.index.install import ensure_templates
from storage.index.names import index_name
from storage.index.product import product_mend
from storage.index.writer import Writer
from storage.settings import ElasticsearchSettings, Login

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


def trail(day: int, number: int) -> bytes:
    return json.dumps(
        {
            "eventVersion": "1.11",
            "eventID": str(uuid.uuid4()),
            "eventTime": f"2026-11-{day:02d}T03:04:{number:02d}Z",
            "eventName": "GetUser",
            "eventSource": "iam.amazonaws.com",
            "recipientAccountId": "111122223333",
        }
    ).encode()


def action(number: int, name: str, kind: Any, **more: Any) -> bytes:
    at = NOW - dt.timedelta(minutes=number)
    return encode(
        Action(id=uuid.uuid4().hex, at=at, actor="alice", host="h", program="cli", name=name, kind=kind, **more)
    )


@pytest_asyncio.fixture
async def asked(engines: Any) -> AsyncIterator[Asked]:
    """A namespace with two days of events, a hole of two days between them, and three actions."""
    users = engines.elasticsearch_users
    logins = {name: Login(username=name, password=users[name]) for name in ("bootstrap", "indexer", "reader")}
    search = ElasticsearchSettings(url=engines.elasticsearch_url, **logins)
    namespace = f"r{uuid.uuid4().hex[:10]}"
    bootstrap: AsyncElasticsearch = connect(search, "bootstrap")
    await ensure_templates(bootstrap, search)
    await bootstrap.close()
    items = [_item(format_named("aws.cloudtrail"), trail(day, n), namespace) for day in (20, 23) for n in range(3)]
    actions = [
        action(3, "search", "access", outcome="success", details={"result_count": 7}),
        action(2, "search", "access", outcome="failure", reason="denied"),
        action(1, "keys.rotate", "change", outcome="success", target="acme"),
    ]
    items += [_item(format_named("skytrail.audit"), each, namespace) for each in actions]
    indexer = connect(search, "indexer")
    outcome = await Writer(indexer, mend=product_mend()).write(items)
    assert (len(outcome.created), outcome.refused) == (9, [])
    await indexer.close()
    admin = AsyncElasticsearch(engines.elasticsearch_url, basic_auth=("admin", users["admin"]))
    await admin.indices.refresh(index=f"logs-*-{namespace}-*")
    reader = connect(search, "reader")
    settings = Settings(elasticsearch=search, audit=AuditSettings(namespace=namespace))
    yield Asked(settings, reader, namespace, None, NOW, NOW)
    await admin.indices.delete(index=list(await admin.indices.get(index=f"logs-*-{namespace}-*")))
    await admin.close()
    await reader.close()


def _item(format_: Format, record: bytes, namespace: str) -> BulkItem:
    receipt = Receipt(namespace=namespace, collector="trail", received_at=NOW, locator="x", ordinal=0)
    made = complete(format_, record, receipt, NOW)
    when = dt.datetime.fromisoformat(made.document["@timestamp"])
    return BulkItem(index_name(format_.dataset, namespace, when), made.id, serialise(made.document))


async def days(asked: Asked) -> Section:
    found = await completeness.daily(asked), await completeness.known_before(asked)
    return completeness.days_section(*found, completeness.covered_until(asked))


async def test_days_without_events_between_the_first_and_the_last_are_a_gap(asked: Asked) -> None:
    section = await days(asked)
    assert section.verdict is Verdict.FAIL
    expected = ("aws.cloudtrail", "111122223333", "trail", 6, "2026-11-20T03:04:00.000Z", "2026-11-23T03:04:02.000Z")
    assert section.rows == ((*expected, 2, 2),)


async def test_a_source_that_fell_silent_has_a_gap_up_to_the_end_and_is_told_though_the_period_has_nothing_of_it(
    asked: Asked,
) -> None:
    later = dataclasses.replace(asked, end=NOW + dt.timedelta(days=6), now=NOW + dt.timedelta(days=9))
    assert [row[-2:] for row in (await days(later)).rows] == [(2, 8)]  # 21, 22, and 24 to 29
    silent = await days(dataclasses.replace(later, start=dt.datetime(2026, 11, 25, tzinfo=dt.UTC)))
    assert silent.verdict is Verdict.FAIL
    source, last = ("aws.cloudtrail", "111122223333", "trail"), "2026-11-23T03:04:02.000Z"
    assert silent.rows == ((*source, 0, "", last, 0, 5),)
    assert (await days(dataclasses.replace(later, start=NOW + dt.timedelta(days=400)))).verdict is Verdict.NOT_MEASURED


async def test_without_kafka_the_accounts_are_not_measured_and_the_days_are(asked: Asked) -> None:
    away = asked.settings.model_copy(update={"kafka": KafkaSettings(bootstrap_servers="127.0.0.1:1")})
    accounts, found = await completeness.gather(dataclasses.replace(asked, settings=away))
    assert (accounts.verdict, found.verdict) == (Verdict.NOT_MEASURED, Verdict.FAIL)
    assert "127.0.0.1:1" in accounts.text


async def test_who_did_what_is_counted_and_changes_are_listed(asked: Asked) -> None:
    people, changes, limits = await access.gather(asked)
    assert [row[:5] for row in people.rows] == [("alice", "keys.rotate", 1, 0, 0), ("alice", "search", 2, 1, 7)]
    assert [row[1:5] for row in changes.rows] == [("alice", "keys.rotate", "acme", "success")]
    assert limits.verdict is Verdict.NOT_MEASURED
