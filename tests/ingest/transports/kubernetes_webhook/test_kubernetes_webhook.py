"""The audit webhook as an API server uses it: over real TLS, with recorded batches, while brokers come and go."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from ingest.collector import Collector, Identity, Limits
from ingest.schema.errors import ConfigError, StoreUnavailable
from ingest.transports.kubernetes_webhook.transport import KubernetesWebhook
from tests.ingest.fakes import EAGER, NOW, EventListFormat, MemoryPublisher, until
from tests.ingest.transports.contract import Harness, TransportContract
from tests.ingest.transports.kubernetes_webhook.cluster import BATCH, TOKEN, Cluster

RECORDED = Path(__file__).parents[5] / "shared/data/kubernetes_webhook/batches.ndjson.gz"


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@asynccontextmanager
async def collecting(webhook: KubernetesWebhook, publisher: MemoryPublisher) -> AsyncIterator[Collector]:
    """The collector of an endpoint, stopped at the end."""
    collector = Collector(
        Identity("k8s", "acme", EventListFormat(name="test.list")),
        webhook,
        publisher,
        put_object=lambda namespace, body: f"{namespace}/{len(body)}",
        clock=lambda: NOW,
        limits=Limits(grace_s=0.2),
        backoff=EAGER,
    )
    task = asyncio.create_task(collector.run())
    try:
        yield collector
    finally:
        collector.stop()
        await asyncio.wait_for(task, 15)


class WebhookHarness(Harness):
    """Posts in the background: an API server waits for its answer."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.webhook: KubernetesWebhook | None = None

    async def open(self) -> KubernetesWebhook:
        self.webhook = await self.cluster.open(spool_after_s=0.05)
        return self.webhook

    async def send(self, bodies: list[bytes]) -> None:
        assert self.webhook
        for body in bodies:
            response = await self.cluster.post(self.webhook, body)
            assert response.status == 200


class TestWebhook(TransportContract):
    @pytest.fixture
    def harness(self, cluster: Cluster) -> Harness:
        return WebhookHarness(cluster)


async def test_a_batch_is_answered_once_the_brokers_have_it(cluster: Cluster) -> None:
    webhook, publisher = await cluster.open(), MemoryPublisher(["slow"])
    async with collecting(webhook, publisher):
        response = await cluster.post(webhook, BATCH)
        assert (response.status, publisher.records) == (200, [b'{"auditID":"1"}', b'{"auditID":"2"}'])
        header = publisher.envelopes[0].header
        assert header.collector == "k8s/prod"
        assert header.origin.locator == f"/k8s/prod/{hashlib.sha256(BATCH).hexdigest()[:16]}"
        assert webhook.spooled == 0


@pytest.mark.skipif(not RECORDED.exists(), reason="the shared recordings are not beside this checkout")
async def test_recorded_batches_of_a_real_api_server_arrive_event_for_event(cluster: Cluster) -> None:
    bodies = gzip.decompress(RECORDED.read_bytes()).splitlines(keepends=True)
    webhook, publisher = await cluster.open(), MemoryPublisher()
    async with collecting(webhook, publisher):
        statuses = [(await cluster.post(webhook, body)).status for body in bodies]
    assert statuses == [200] * 12
    assert len(publisher.records) == 3675
    events = [event for body in bodies for event in msgspec.json.decode(body)["items"]]
    assert [msgspec.json.decode(record) for record in publisher.records] == events


@pytest.mark.skipif(not RECORDED.exists(), reason="the shared recordings are not beside this checkout")
async def test_while_brokers_are_away_batches_are_spooled_and_drain_in_order_when_they_return(cluster: Cluster) -> None:
    bodies = gzip.decompress(RECORDED.read_bytes()).splitlines(keepends=True)
    webhook, publisher = await cluster.open(), MemoryPublisher()
    publisher.away = True
    async with collecting(webhook, publisher):
        statuses = [(await cluster.post(webhook, body)).status for body in bodies]
        assert statuses == [200] * 12
        assert (publisher.records, webhook.spooled) == ([], 12)
        publisher.away = False
        await until(lambda: webhook.spooled == 0)
        assert len(publisher.records) == 3675
        locators = list(dict.fromkeys(each.header.origin.locator for each in publisher.envelopes))
        assert sorted(locators) == sorted(f"/k8s/prod/{hashlib.sha256(b).hexdigest()[:16]}" for b in bodies)
        response = await cluster.post(webhook, BATCH)
        assert (response.status, webhook.spooled, publisher.records[-1]) == (200, 0, b'{"auditID":"2"}')


async def test_a_drain_keeps_the_order_of_arrival(cluster: Cluster) -> None:
    webhook = await cluster.open()
    bodies = [b'{"items":[{"n":%d}]}' % number for number in range(20)]
    for body in bodies:
        assert (await cluster.post(webhook, body)).status == 200
    found = []
    async for delivery in webhook.deliveries():
        found.append(delivery.body)
        await delivery.acknowledge()
        if len(found) == 20:
            break
    assert found == bodies
    await webhook.close()


async def test_a_process_that_dies_with_a_full_spool_loses_nothing_it_answered(cluster: Cluster) -> None:
    webhook, publisher = await cluster.open(), MemoryPublisher()
    bodies = [b'{"items":[{"n":%d}]}' % number for number in range(5)]
    for body in bodies:
        assert (await cluster.post(webhook, body)).status == 200
    # What a kill leaves: the files as they are. The copy stands for the directory after the restart.
    for file in (cluster.directory / "spool/mine").iterdir():
        target = cluster.directory / "after/mine" / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    await webhook.close()
    reborn = await cluster.open(spool_dir=cluster.directory / "after/mine")
    async with collecting(reborn, publisher):
        await until(lambda: reborn.spooled == 0)
    assert publisher.records == [b'{"n":%d}' % number for number in range(5)]


async def test_a_stop_while_brokers_are_away_answers_what_it_holds_from_the_spool(cluster: Cluster) -> None:
    webhook, publisher = await cluster.open(spool_after_s=20), MemoryPublisher()
    publisher.away = True
    async with collecting(webhook, publisher):
        posting = asyncio.create_task(cluster.post(webhook, BATCH))
        await until(lambda: publisher.calls)
    assert (await posting).status == 200
    reborn = await cluster.open()
    publisher.away = False
    async with collecting(reborn, publisher):
        await until(lambda: reborn.spooled == 0)
    assert publisher.records == [b'{"auditID":"1"}', b'{"auditID":"2"}']


@pytest.mark.parametrize("body", [b"{broken", b"\x1f\x8bhalf a gzip", b'{"items": 7}'])
async def test_a_body_that_cannot_be_read_is_kept_as_a_dead_letter_and_answered_200(
    cluster: Cluster, body: bytes
) -> None:
    webhook, publisher = await cluster.open(), MemoryPublisher()
    async with collecting(webhook, publisher):
        assert (await cluster.post(webhook, body)).status == 200
    assert [letter.body for letter in publisher.letters] == [body]


async def test_a_gzip_body_is_tolerated(cluster: Cluster) -> None:
    webhook, publisher = await cluster.open(), MemoryPublisher()
    async with collecting(webhook, publisher):
        body = gzip.compress(BATCH)
        response = await cluster.post(webhook, body, headers={"Content-Encoding": "gzip"})
    assert (response.status, len(publisher.records), publisher.letters) == (200, 2, [])


async def test_a_port_in_use_is_refused_and_the_spool_is_let_go(cluster: Cluster) -> None:
    first = await cluster.open()
    with pytest.raises(ConfigError, match="listening"):
        await cluster.open(port=first.port, spool_dir=cluster.directory / "second")
    second = await cluster.open(spool_dir=cluster.directory / "second")
    for each in (first, second):
        await each.close()


async def test_plain_http_on_loopback_and_healthz(cluster: Cluster) -> None:
    webhook = await cluster.open(certificate_file=None, allow_plain_http=True)
    base = f"http://127.0.0.1:{webhook.port}"
    async with aiohttp.ClientSession(headers={"Authorization": f"bearer {TOKEN}"}) as session:
        async with session.get(f"{base}/healthz") as health:
            assert (health.status, await health.text()) == (200, "ok\n")
        async with session.post(f"{base}/k8s/prod", data=BATCH) as posted:
            assert posted.status == 200
    await webhook.close()


async def test_a_body_over_the_limit_is_413_whether_announced_or_not(cluster: Cluster) -> None:
    webhook = await cluster.open(max_body_bytes=1000)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    assert (await cluster.post(webhook, b"x" * 1001)).status == 413
    assert (await cluster.post(webhook, chunks())).status == 413  # type: ignore[arg-type]
    assert (await cluster.post(webhook, b"x" * 999)).status == 200
    await webhook.close()


async def test_pressure_is_answered_with_429_and_when_to_come_again(cluster: Cluster) -> None:
    webhook = await cluster.open(max_in_flight=2, spool_after_s=3, retry_after_s=7)
    waiting = [asyncio.create_task(cluster.post(webhook, BATCH)) for _ in range(2)]
    await until(lambda: len(webhook._live) == 2)
    refused = await cluster.post(webhook, BATCH)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "7")
    await webhook.close()
    assert [(await each).status for each in waiting] == [200, 200]
    assert webhook.answers == {429: 1, 200: 2}


async def test_bytes_in_flight_are_bounded(cluster: Cluster) -> None:
    webhook = await cluster.open(max_in_flight_bytes=1500, spool_after_s=3)
    waiting = asyncio.create_task(cluster.post(webhook, b"x" * 1000))
    await until(lambda: webhook._live)
    assert (await cluster.post(webhook, b"x" * 1000)).status == 429
    await webhook.close()
    assert (await waiting).status == 200


async def test_a_full_spool_is_answered_with_429_and_told(cluster: Cluster) -> None:
    webhook = await cluster.open(spool_max_bytes=1200, spool_after_s=0.05)
    assert (await cluster.post(webhook, b"x" * 900)).status == 200
    assert (await cluster.post(webhook, b"y" * 900)).status == 429
    assert isinstance(cluster.told.warnings[-1], StoreUnavailable)
    await webhook.close()


async def test_a_client_that_never_ends_its_body_is_let_go(cluster: Cluster) -> None:
    webhook = await cluster.open(max_in_flight=1)
    reader, writer = await asyncio.open_connection("127.0.0.1", webhook.port, ssl=cluster.authority.trusting())
    writer.write(
        b"POST /k8s/prod HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        + TOKEN.encode()
        + b"\r\nContent-Length: 99\r\n\r\n{"
    )
    await writer.drain()
    await until(lambda: webhook._endpoint.requests)
    status = await asyncio.wait_for(reader.readline(), 5)
    assert status.startswith(b"HTTP/1.1 408")
    writer.close()
    assert (await cluster.post(webhook, BATCH)).status == 200
    await webhook.close()


async def test_a_client_that_never_ends_its_header_is_let_go(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.transports.endpoint.server._KEEP_ALIVE_S", 0.5)
    webhook = await cluster.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", webhook.port, ssl=cluster.authority.trusting())
    writer.write(b"POST /k8s/prod HTTP/1.1\r\nX-Slow: ")
    ended = asyncio.create_task(reader.read())
    for _ in range(20):
        writer.write(b"z")
        await asyncio.sleep(0.1)
        if ended.done():
            break
    assert await asyncio.wait_for(ended, 5) == b""
    writer.close()
    await webhook.close()


async def test_a_torn_tail_of_the_spool_is_told_at_start(cluster: Cluster) -> None:
    webhook = await cluster.open(spool_after_s=0.05)
    assert (await cluster.post(webhook, BATCH)).status == 200
    await webhook.close()
    (segment,) = sorted((cluster.directory / "spool/mine").glob("*.spool"))
    segment.write_bytes(segment.read_bytes() + b"half a frame")
    reborn = await cluster.open()
    assert "1 bodies wait, 12 bytes of an unfinished one cut" in str(cluster.told.warnings[-1])
    await reborn.close()
