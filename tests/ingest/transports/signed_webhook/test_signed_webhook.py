"""Signed requests over real TLS: kept, repeated, replayed, forged, too many."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from ingest.collector import Collector, Identity, Limits
from ingest.schema.errors import ConfigError
from ingest.transports.signed_webhook.inspection import inspect
from ingest.transports.signed_webhook.transport import SignedWebhook
from tests.ingest.fakes import EAGER, NOW, LineFormat, MemoryPublisher, until
from tests.ingest.transports.contract import Harness, TransportContract, pull
from tests.ingest.transports.signed_webhook.sender import SECRET, Sender, standard

BODY = b'{"n": 1}\n'
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    made = Sender(tmp_path)
    yield made
    await made.stop()


@asynccontextmanager
async def collecting(webhook: SignedWebhook, publisher: MemoryPublisher) -> AsyncIterator[None]:
    collector = Collector(
        Identity("hook", "acme", LineFormat()),
        webhook,
        publisher,
        put_object=lambda namespace, body: f"{namespace}/{len(body)}",
        clock=lambda: NOW,
        limits=Limits(grace_s=0.2),
        backoff=EAGER,
    )
    task = asyncio.create_task(collector.run())
    try:
        yield
    finally:
        collector.stop()
        await asyncio.wait_for(task, 15)


class TestSignedWebhook(TransportContract):
    @pytest.fixture
    def harness(self, sender: Sender) -> Harness:
        return sender

    async def test_a_close_ends_the_deliveries_and_leaves_no_task_and_no_thread(self, harness: Harness) -> None:
        # As in the contract, but the sender's own tasks have to end first.
        before, threads_before = asyncio.all_tasks(), set(threading.enumerate())
        transport = await harness.open()
        iterator = transport.deliveries()
        await harness.send([BODY])
        for each in await pull(iterator, 1):
            await each.acknowledge()
        waiting = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
        await asyncio.sleep(0.3)  # the sender has its answer
        await transport.close()
        await transport.close()
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(waiting, 5)
        await until(lambda: asyncio.all_tasks() == before)
        left = {thread.name.partition("_")[0] for thread in set(threading.enumerate()) - threads_before}
        assert left <= {"asyncio"}, left


async def test_a_request_is_answered_200_once_the_brokers_have_it(sender: Sender) -> None:
    publisher = MemoryPublisher(["lost", "applied", "slow"])
    async with collecting(await sender.open(), publisher):
        assert (await sender.post(BODY))[0] == 200
        assert set(publisher.records) == {b'{"n": 1}'}
        header = publisher.envelopes[0].header
        assert header.collector == "hook/shop"
        assert header.origin.locator.startswith("/webhook/shop/")


async def test_while_brokers_are_away_the_answer_is_429_and_the_next_attempt_learns_how_it_ended(
    sender: Sender,
) -> None:
    publisher = MemoryPublisher()
    publisher.away = True
    async with collecting(await sender.open(answer_within_s=0.2), publisher):
        assert (await sender.post(BODY))[0] == 429
        sender.now += MINUTE  # signed anew: another signature, the same bytes
        assert (await sender.post(BODY))[0] == 429
        publisher.away = False
        await until(lambda: publisher.records)
        assert (await sender.post(BODY))[0] == 200
        assert publisher.records == [b'{"n": 1}']
        sender.now += MINUTE
        assert (await sender.post(BODY))[0] == 200
        assert len(publisher.records) == 2  # that one was told: the same bytes are a request of their own now


async def test_a_stop_gives_unfinished_requests_back_to_their_sender(sender: Sender) -> None:
    publisher = MemoryPublisher()
    publisher.away = True
    async with collecting(await sender.open(), publisher):
        posting = asyncio.create_task(sender.post(BODY))
        await until(lambda: publisher.calls)
    assert (await posting)[0] == 429


async def test_a_replay_within_the_window_is_answered_and_not_published_again(sender: Sender) -> None:
    publisher = MemoryPublisher()
    async with collecting(await sender.open(), publisher):
        headers = sender.headers(BODY)
        assert [(await sender.post(BODY, headers))[0] for _ in range(3)] == [200] * 3
        sender.now += 4 * MINUTE
        assert (await sender.post(BODY, headers))[0] == 200
        assert publisher.records == [b'{"n": 1}']
        sender.now += 2 * MINUTE
        status, why = await sender.post(BODY, headers)
        assert (status, why) == (403, "X-Timestamp: 360 s away, more than 300 s\n")


async def test_two_of_the_same_request_at_once_wait_for_one(sender: Sender) -> None:
    publisher = MemoryPublisher(["slow"])
    async with collecting(await sender.open(), publisher):
        found = await asyncio.gather(*(sender.post(BODY) for _ in range(5)))
    assert [status for status, _ in found] == [200] * 5
    assert publisher.records == [b'{"n": 1}']


@pytest.mark.parametrize(
    ("change", "status", "why"),
    [
        ({"X-Timestamp": ""}, 401, "X-Timestamp: missing"),
        ({"X-Timestamp": "2026-11-22T08:00:00Z"}, 401, "X-Timestamp: missing, or not Unix seconds"),
        ({"X-Timestamp": str(int(NOW.timestamp()) + 400)}, 403, "X-Timestamp: -400 s away"),
        ({"X-Timestamp": str(int(NOW.timestamp()) + 1)}, 403, "X-Signature: does not fit"),
        ({"X-Signature": ""}, 401, "X-Signature: missing"),
        ({"X-Signature": "zz" * 32}, 401, "not hex of 32 bytes"),
        ({"X-Signature": "00" * 32}, 403, "X-Signature: does not fit"),
        ({"X-Signature": "00" * 20}, 401, "not hex of 32 bytes"),
    ],
)
async def test_what_is_not_signed_rightly_is_refused_with_its_reason(
    sender: Sender, change: dict[str, str], status: int, why: str
) -> None:
    webhook = await sender.open()
    found = await sender.post(BODY, sender.headers(BODY) | change)
    assert found[0] == status
    assert why in found[1]
    assert not webhook._live
    await webhook.close()


async def test_a_secret_signs_for_its_source_alone(sender: Sender) -> None:
    webhook = await sender.open()
    bank = sender.headers(BODY, secret=f"{SECRET}-of-bank")
    assert (await sender.post(BODY, bank))[0] == 403
    assert (await sender.post(BODY, source="nobody"))[0] == 403
    posting = asyncio.create_task(sender.post(BODY, bank, source="bank"))
    (delivery,) = await pull(webhook.deliveries(), 1)
    assert delivery.source == "bank"
    await delivery.acknowledge()
    assert (await posting)[0] == 200
    await webhook.close()


async def test_a_changed_secret_counts_at_once_and_a_broken_file_lets_nobody_in(sender: Sender) -> None:
    publisher = MemoryPublisher()
    async with collecting(await sender.open(), publisher):
        new = f"{SECRET}-of-tomorrow"
        (sender.directory / "secrets").write_text(f"shop {SECRET}\nshop {new}\n")
        assert (await sender.post(BODY, sender.headers(BODY, secret=new)))[0] == 200
        assert (await sender.post(BODY))[0] == 200
        (sender.directory / "secrets").write_text(f"shop {new}\n")
        assert (await sender.post(b"{}\n"))[0] == 403
        (sender.directory / "secrets").unlink()
        assert (await sender.post(b"{}\n", sender.headers(b"{}\n", secret=new)))[0] == 403
        assert "reading secrets" in str(sender.told.warnings[-1])


async def test_standard_webhooks_are_read_and_an_id_with_other_bytes_is_refused(sender: Sender) -> None:
    key = b"a key of 24 bytes, random"
    (sender.directory / "secrets").write_text(f"whsec_{base64.b64encode(key).decode()}\n")
    publisher = MemoryPublisher()
    sender.options |= {
        "secret_encoding": "base64",
        "signed": "{id}.{timestamp}.{body}",
        "id_header": "webhook-id",
        "timestamp_header": "webhook-timestamp",
        "signature_header": "webhook-signature",
        "signature_prefix": "v1,",
        "signature_encoding": "base64",
    }
    async with collecting(await sender.open(), publisher):
        assert (await sender.post(BODY, standard(key, "msg_1", sender.now, BODY)))[0] == 200
        sender.now += MINUTE
        assert (await sender.post(BODY, standard(key, "msg_1", sender.now, BODY)))[0] == 200
        assert publisher.records == [b'{"n": 1}']
        assert await sender.post(b"{}\n", standard(key, "msg_1", sender.now, b"{}\n")) == (
            409,
            "webhook-id: came before with another body\n",
        )
        assert (await sender.post(BODY, standard(key, "msg.1", sender.now, BODY)))[0] == 401
        assert (await sender.post(BODY, standard(key, "msg_2", sender.now, BODY)))[0] == 200
        assert len(publisher.records) == 2


async def test_a_body_over_the_limit_is_413(sender: Sender) -> None:
    webhook = await sender.open(max_body_bytes=1000)
    assert (await sender.post(b"x" * 1001))[0] == 413
    await webhook.close()


async def test_pressure_is_answered_429_also_while_bodies_that_nobody_waits_for_are_under_way(sender: Sender) -> None:
    webhook = await sender.open(max_in_flight=2, answer_within_s=0.1)
    assert [(await sender.post(b"%d" % number))[0] for number in range(2)] == [429, 429]
    assert len(webhook._live) == 2
    assert (await sender.post(b"3"))[0] == 429
    assert len(webhook._live) == 2
    await webhook.close()


async def test_a_memory_that_is_full_lets_nothing_in_that_it_could_not_recognise(sender: Sender) -> None:
    publisher = MemoryPublisher()
    async with collecting(await sender.open(replay_memory=1), publisher):
        assert (await sender.post(b"1"))[0] == 200
        assert (await sender.post(b"2"))[0] == 429
        assert "raise replay_memory" in str(sender.told.warnings[-1])
        sender.now += 6 * MINUTE
        assert (await sender.post(b"2"))[0] == 200


async def test_client_certificates_can_be_asked_for_besides(sender: Sender) -> None:
    publisher = MemoryPublisher()
    async with collecting(await sender.open(client_ca_file=sender.authority.file), publisher):
        assert (await sender.post(BODY, client=sender.authority.issue("shop")))[0] == 200
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await sender.post(BODY)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"certificate_file": None}, "there is no certificate"),
        ({"secret_file": "/nonexistent/secrets"}, "reading secrets"),
        ({"signed": "{body}"}, "can't be used"),
        ({"signed": "{timestamp}"}, "can't be used"),
        ({"signed": "{body}.{timestamp}"}, "can't be used"),
        ({"signed": "{timestamp}.{body}.{body}"}, "can't be used"),
        ({"signed": "{time}.{timestamp}.{body}"}, "can't be used"),
        ({"signed": "{id}{timestamp}.{body}", "id_header": "X-Id"}, "can't be used"),
        ({"signed": "{id}_{timestamp}.{body}", "id_header": "X-Id"}, "can't be used"),
        ({"id_header": "X-Id"}, "go together"),
        ({"signed": "{id}.{timestamp}.{body}"}, "go together"),
        ({"secret_encoding": "base64"}, "no base64"),
    ],
)
def test_an_unsafe_or_broken_setting_is_found_before_the_start(
    sender: Sender, changes: dict[str, object], what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        list(inspect(sender.settings(**changes)))


def test_settings_that_work_are_told_with_their_secret_files(sender: Sender) -> None:
    (finding,) = inspect(sender.settings(signed="v0:{timestamp}:{body}", signature_prefix="v0="))
    assert (finding.state, finding.secret_files) == ("ok", (sender.directory / "secrets", sender.certificate[1]))
