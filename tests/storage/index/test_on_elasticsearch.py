"""The index package on a real Elasticsearch: what templates, identities and outcomes are worth there."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from elasticsearch import ApiError, AsyncElasticsearch

from detectors.triage import Change, ImpossibleChange
from ingest.formats.registry import all_formats, registry
from ingest.schema.envelope import Position
from ingest.schema.errors import ConfigError, Refused
from storage.index import alerts as alert_reading
from storage.index.alert_store import AlertDocument, AlertGrowth, AlertStore
from storage.index.bulk import BulkItem
from storage.index.client import check_server, connect
from storage.index.conflicts import Conflict, compare
from storage.index.documents import serialise
from storage.index.install import ensure_templates
from storage.index.product import product_mend
from storage.index.search import Query, count, search
from storage.index.triage import decide
from storage.index.writer import Writer
from storage.settings import ElasticsearchSettings, Login
from tests.storage.index.test_writer import Listener

pytestmark = pytest.mark.engines

DATASET = "aws.cloudtrail"
GOLDEN = Path(__file__).parents[2] / "ingest" / "formats"


class Bench:
    """Clients of each identity, and a namespace of its own that is dropped at the end."""

    def __init__(self, settings: ElasticsearchSettings, admin: AsyncElasticsearch) -> None:
        self.settings = settings
        self.admin = admin
        self.namespace = f"t{uuid.uuid4().hex[:10]}"
        self.index = f"logs-{DATASET}-{self.namespace}-2026.11.22"
        self.bootstrap = connect(settings, "bootstrap")
        self.indexer = connect(settings, "indexer")
        self.alerter = connect(settings, "alerter")
        self.reader = connect(settings, "reader")
        self.analyst = connect(settings, "analyst")

    async def close(self) -> None:
        for client in (self.bootstrap, self.indexer, self.alerter, self.reader, self.analyst, self.admin):
            await client.close()

    async def refresh(self) -> None:
        await self.admin.indices.refresh(index=f"logs-*-{self.namespace}-*")

    def item(self, id_: str, index: str = "", **fields: Any) -> BulkItem:
        document = {
            "@timestamp": "2026-11-22T10:00:00.000Z",
            "data_stream": {"type": "logs", "dataset": DATASET, "namespace": self.namespace},
            **fields,
        }
        return BulkItem(index or self.index, id_, serialise(document))


@pytest_asyncio.fixture
async def bench(engines) -> AsyncIterator[Bench]:
    def login(name: str) -> Login:
        return Login(username=name, password=engines.elasticsearch_users[name])

    settings = ElasticsearchSettings(
        url=engines.elasticsearch_url,
        bootstrap=login("bootstrap"),
        indexer=login("indexer"),
        alerter=login("alerter"),
        reader=login("reader"),
        analyst=login("analyst"),
    )
    password = engines.elasticsearch_users["admin"]
    made = Bench(settings, AsyncElasticsearch(settings.url, basic_auth=("admin", password)))
    try:
        await ensure_templates(made.bootstrap, settings)
        yield made
    finally:
        names = list((await made.admin.indices.get(index=f"logs-*-{made.namespace}-*")).body)
        if names:
            await made.admin.indices.delete(index=names)
        await made.close()


async def test_templates_are_installed_once_and_nothing_changes_the_second_time(bench: Bench) -> None:
    assert (await check_server(bench.reader))[0] >= 8
    assert await ensure_templates(bench.bootstrap, bench.settings) == []


async def test_a_changed_setting_updates_the_one_template_it_concerns(bench: Bench) -> None:
    slower = bench.settings.model_copy(update={"refresh_interval_s": 77})
    changed = await ensure_templates(bench.bootstrap, slower)
    back = await ensure_templates(bench.bootstrap, bench.settings)
    assert changed == back == ["updated component template skytrail-settings@1"]


async def test_a_stock_template_for_all_logs_does_not_apply_to_our_indices(bench: Bench) -> None:
    stock = {"index_patterns": ["logs-*-*"], "priority": 100, "template": {"settings": {"index.hidden": True}}}
    await bench.admin.indices.put_index_template(name="stock-logs", body=stock)
    try:
        assert await ensure_templates(bench.bootstrap, bench.settings) == []
        await Writer(bench.indexer).write([bench.item("a")])
    finally:
        await bench.admin.indices.delete_index_template(name="stock-logs")
    settings = (await bench.admin.indices.get_settings(index=bench.index))[bench.index]["settings"]["index"]
    assert "hidden" not in settings
    assert settings["refresh_interval"] == "10s"


async def test_a_foreign_template_of_higher_priority_is_refused(bench: Bench) -> None:
    foreign = {"index_patterns": ["logs-aws*"], "priority": 400}
    await bench.admin.indices.put_index_template(name="foreign-logs", body=foreign)
    try:
        with pytest.raises(ConfigError, match="foreign-logs"):
            await ensure_templates(bench.bootstrap, bench.settings)
    finally:
        await bench.admin.indices.delete_index_template(name="foreign-logs")


WEIRD: dict[str, dict[str, Any]] = {
    "no address": {"source": {"ip": "not an ip"}},
    "an object for an address": {"source": {"ip": {"a": 1}}},
    "no date": {"event": {"created": "yesterday"}},
    "no number": {"event": {"severity": "high", "risk_score": "∞"}},
    "a number beyond 64 bits": {"event": {"severity": 2**70}},
    "no place": {"source": {"geo": {"location": "nowhere"}}},
    "a place off the map": {"source": {"geo": {"location": {"lat": 900, "lon": "x"}}}},
    "an object for a keyword": {"user": {"id": {"a": {"b": 1}}}},
    "an object for a name": {"user": {"name": [{"a": 1}, "alice"]}},
    "a value for an object": {"user": "alice"},
    "an object for text": {"message": {"a": 1}},
    "text for an object of any shape": {"labels": "x"},
    "a list of lists": {"tags": [["a"], [["b"]]]},
    "a huge keyword": {"user": {"id": "\U0001f600" * 40_000}},
    "huge text": {"message": "x" * 2_000_000},
    "a huge original": {"event": {"original": "é" * 1_000_000}},
    "an object as original": {"event": {"original": {"a": 1}}},
    "a huge leaf of a flattened field": {"labels": {"k" * 100: "\U0001f600" * 8191}},
    "a huge name in a flattened field": {"labels": {"k" * 40_000: "v"}},
    "a NUL in a name": {"labels": {"a\x00b": "v"}},
    "deep nesting": {"labels": json.loads('{"a":' * 200 + "1" + "}" * 200)},
    "deep unknown nesting": {"unknown": json.loads('{"a":' * 400 + "1" + "}" * 400)},
    "names of dots": {"unknown": {".": 1, "..": 2, "a.": 3, "": 4}, "user": {".": 1, "a..b": 2}},
    "dots at the top": {".": 1, "user.": 2},
    "a blank name": {" ": 1, "user": {"": 1}},
    "unknown fields": {f"unknown_{i}": {"x": i} for i in range(3000)},
    "a lone surrogate": {"user": {"name": "a\ud800"}},
    "wrong types all over": {"data_stream": {"dataset": DATASET, "namespace": {"a": 1}}, "tls": 1, "cloud": [1, {}]},
}


@pytest.mark.parametrize("case", WEIRD)
async def test_no_value_costs_a_document_its_place(bench: Bench, case: str) -> None:
    writer = Writer(bench.indexer, mend=product_mend())
    outcome = await writer.write([bench.item("before"), bench.item("weird", **WEIRD[case]), bench.item("after")])
    assert outcome.refused == []
    assert outcome.created == [0, 1, 2]


async def test_without_mending_a_refused_document_carries_the_servers_reason(bench: Bench) -> None:
    outcome = await Writer(bench.indexer).write([bench.item("a"), bench.item("b", user={"name": {"x": 1}})])
    ((position, kind, reason),) = outcome.refused
    assert (position, kind) == (1, "document_parsing_exception")
    assert "user.name" in reason
    assert outcome.created == [0]


async def test_a_mended_document_can_be_found_by_its_reason(bench: Bench) -> None:
    outcome = await Writer(bench.indexer, mend=product_mend()).write([bench.item("a", user={"name": {"x": 1}})])
    assert outcome.mended == [0]
    await bench.refresh()
    assert await count(bench.reader, Query("error.message:fit", namespace=bench.namespace)) == 1


async def test_the_indexer_can_create_and_nothing_else(bench: Bench) -> None:
    await Writer(bench.indexer).write([bench.item("a")])
    attempts = [
        bench.indexer.get(index=bench.index, id="a"),
        bench.indexer.search(index=bench.index),
        bench.indexer.update(index=bench.index, id="a", doc={"x": 1}),
        bench.indexer.index(index=bench.index, id="a", document={"x": 1}),
        bench.indexer.delete(index=bench.index, id="a"),
        bench.indexer.indices.delete(index=bench.index),
    ]
    statuses = []
    for attempt in attempts:
        with pytest.raises(ApiError) as caught:
            await attempt
        statuses.append(caught.value.status_code)
    assert statuses == [403] * len(attempts)


async def test_a_rewritten_event_is_told_apart_from_replays_and_duplicates(bench: Bench) -> None:
    def kafka(offset: int) -> dict[str, Any]:
        return {"kafka": {"topic": "raw", "partition": 0, "offset": offset, "index": 0}}

    writer = Writer(bench.indexer)
    await writer.write([bench.item("a", event={"hash": "aa"}, skytrail=kafka(5))])
    again = await writer.write([bench.item("a", event={"hash": "aa"}, skytrail=kafka(5))])
    verdicts = await compare(
        bench.reader,
        [
            Conflict(bench.index, "a", "aa", Position("raw", 0, 5, 0)),
            Conflict(bench.index, "a", "aa", Position("raw", 0, 6, 0)),
            Conflict(bench.index, "a", "bb", Position("raw", 0, 7, 0)),
            Conflict(bench.index, "nobody", "bb", Position("raw", 0, 8, 0)),
            Conflict(f"logs-{DATASET}-{bench.namespace}-1999.01.01", "a", "aa", Position("raw", 0, 9, 0)),
        ],
    )
    assert again.duplicate == [0]
    assert verdicts == ["replay", "duplicate", "equivocation", "missing", "missing"]


@pytest.mark.parametrize("block", ["write", "read_only", "read_only_allow_delete"])
async def test_a_read_only_index_is_waited_for_and_someone_is_told(bench: Bench, block: str) -> None:
    listener = Listener()
    writer = Writer(bench.indexer, observer=listener, sleep=lambda _: asyncio.sleep(0.05))
    await writer.write([bench.item("a")])
    await bench.admin.indices.put_settings(index=bench.index, settings={f"index.blocks.{block}": True})
    writing = asyncio.create_task(writer.write([bench.item("b")]))
    try:
        await asyncio.wait_for(listener.heard.wait(), 20)
    finally:
        await bench.admin.indices.put_settings(index=bench.index, settings={f"index.blocks.{block}": None})
    outcome = await asyncio.wait_for(writing, 30)
    assert outcome.created == [0]
    assert "index.blocks" in listener.alarms[0].mend


def second(number: int) -> dict[str, str]:
    """The event time so many seconds after ten o'clock."""
    return {"@timestamp": f"2026-11-22T10:{number // 60:02d}:{number % 60:02d}.000Z"}


async def test_documents_are_found_page_by_page_in_order(bench: Bench) -> None:
    await Writer(bench.indexer).write(
        [
            bench.item(
                f"d{i}",
                **{"@timestamp": f"2026-11-22T10:{i // 60 % 60:02d}:{i % 60:02d}.000Z"},
                event={"action": "Get"},
            )
            for i in range(2500)
        ]
    )
    await bench.refresh()
    query = Query("event.action:Get", namespace=bench.namespace)
    found = [hit.id async for hit in search(bench.reader, query, limit=None)]
    assert found == [f"d{i}" for i in reversed(range(2500))]
    assert [hit.id async for hit in search(bench.reader, query, limit=3)] == ["d2499", "d2498", "d2497"]
    noon = dt.datetime(2026, 11, 22, 10, 10, tzinfo=dt.UTC)
    assert await count(bench.reader, Query(namespace=bench.namespace, end=noon)) == 600
    assert await count(bench.reader, Query(namespace=bench.namespace, dataset=DATASET)) == 2500


async def test_where_there_is_no_index_nothing_is_found(bench: Bench) -> None:
    query = Query("a:b", namespace="nobody_has_this")
    assert await count(bench.reader, query) == 0
    assert [hit async for hit in search(bench.reader, query)] == []


@pytest.mark.parametrize("text", ["user.name:(alice", "a AND", "[1 TO", "/a(/", "event.severity:high"])
async def test_a_wrong_query_is_named_with_its_place(bench: Bench, text: str) -> None:
    await Writer(bench.indexer).write([bench.item("a")])
    await bench.refresh()
    with pytest.raises(ConfigError, match="parsing query") as by_count:
        await count(bench.reader, Query(text, namespace=bench.namespace))
    with pytest.raises(ConfigError, match="parsing query"):
        _ = [hit async for hit in search(bench.reader, Query(text, namespace=bench.namespace))]
    assert "query" in by_count.value.where


async def test_an_identity_without_the_right_to_read_is_refused(bench: Bench) -> None:
    await Writer(bench.indexer).write([bench.item("a")])
    with pytest.raises(Refused, match="searching"):
        await count(bench.indexer, Query(namespace=bench.namespace, dataset=DATASET))


async def test_alerts_grow_and_keep_what_people_decided(bench: Bench) -> None:
    def growth(number: int) -> AlertGrowth:
        state = {"skytrail": {"alert": {"count": number, "status": "open", "owner": None}}}
        return AlertGrowth(alert_id, state, {"skytrail": {"alert": {"count": number}}})

    alert_id = f"alert-{bench.namespace}"
    store = AlertStore(Writer(bench.alerter), {})
    opened = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    document = {"@timestamp": "2026-11-22T10:00:00.000Z", "message": "it fired"}
    try:
        assert (await store.add([AlertDocument(alert_id, bench.namespace, opened, document)])).created == [0]
        assert (await store.grow([growth(1)])).created == [0]
        close = Change("close", "bob", "it was the scanner", classification="false_positive")
        now = dt.datetime(2026, 11, 22, 11, tzinfo=dt.UTC)
        await asyncio.gather(
            *(store.grow([growth(n)]) for n in range(2, 7)), decide(bench.analyst, alert_id, close, now)
        )
        await store.grow([growth(7)])
        with pytest.raises(ImpossibleChange, match="no such alert"):
            await decide(bench.analyst, "nobody", close, now)
        await bench.refresh()
        query = Query(namespace=bench.namespace)
        (found,) = [alert async for alert in alert_reading.alerts(bench.reader, query)]
        assert (found.id, found.count, found.status) == (alert_id, 7, "closed")
        assert found.document["message"] == "it fired"
        assert (found.now("classification"), found.now("history")[0]["by"]) == ("false_positive", "bob")
        assert [a async for a in alert_reading.alerts(bench.reader, query, status="open")] == []
        assert len([a async for a in alert_reading.alerts(bench.reader, query, status="closed", limit=1)]) == 1
        assert await alert_reading.alert_by_id(bench.reader, alert_id) == found
        assert await alert_reading.alert_by_id(bench.reader, "nobody") is None
        assert await count(bench.reader, query) == 0  # alerts are not events
    finally:
        with contextlib.suppress(ApiError):
            await bench.admin.delete(index="skytrail-alert-state", id=alert_id)


def golden_documents() -> list[tuple[str, dict[str, Any]]]:
    """Data set and expected document of every golden pair that is an event."""
    found: list[tuple[str, dict[str, Any]]] = []
    for format_ in all_formats().values():
        for path in sorted((GOLDEN / format_.name.replace(".", "_") / "golden").glob("*.expected.json")):
            content = json.loads(path.read_text(encoding="utf-8"))
            documents = content if isinstance(content, list) else [content]
            found.extend((format_.dataset, document) for document in documents if "@timestamp" in document)
    return found


async def test_golden_documents_are_taken_as_they_are_and_nothing_but_huge_bodies_is_ignored(bench: Bench) -> None:
    items = []
    for i, (dataset, document) in enumerate(golden_documents()):
        index = f"logs-{dataset}-{bench.namespace}-2026.11.22"
        items.append(BulkItem(index, f"g{i}", serialise(document)))
    assert items
    outcome = await Writer(bench.indexer).write(items)
    assert outcome.refused == []
    await bench.refresh()
    ignored = await bench.admin.search(
        index=f"logs-*-{bench.namespace}-*", query={"exists": {"field": "_ignored"}}, fields=["_ignored"], size=100
    )
    names = {name for hit in ignored["hits"]["hits"] for name in hit["fields"]["_ignored"]}
    assert names <= {field.name for field in registry() if field.type == "wildcard"}  # above 8191 characters


async def test_every_data_set_has_an_index_template_that_the_server_accepts(bench: Bench) -> None:
    for format_ in all_formats().values():
        name = f"logs-{format_.dataset}-{bench.namespace}-2026.11.22"
        answer = await bench.admin.indices.simulate_index_template(name=name)
        assert answer["template"]["mappings"]["dynamic"] == "false"
        assert "data_stream" not in answer
