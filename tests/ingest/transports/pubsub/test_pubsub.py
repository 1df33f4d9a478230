"""A Pub/Sub subscription as a source, on Google's in-memory server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest.collector import Collector, Identity
from ingest.schema.errors import ConfigError, SourceRefused
from ingest.transports.pubsub.inspection import inspect
from ingest.transports.pubsub.settings import PubSubSettings
from tests.ingest.fakes import EAGER, NOW, LineFormat, MemoryPublisher, until
from tests.ingest.transports.contract import BODIES, Harness, TransportContract, opened, pull
from tests.ingest.transports.google_cloud.servers import running_pstest
from tests.ingest.transports.pubsub.scripted import ExactlyOnce
from tests.ingest.transports.pubsub.subscription import DEAD, PROJECT, Subscription
from tests.ingest.transports.relay import Relay


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async with running_pstest() as address:
        yield address


@pytest.fixture
async def subscription(server: str, tmp_path: Path) -> AsyncIterator[Subscription]:
    made = Subscription(server, tmp_path)
    await asyncio.to_thread(made.create)
    yield made
    await asyncio.to_thread(made.close)


def numbered(count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(count)]


class TestPubSub(TransportContract):
    @pytest.fixture
    def harness(self, subscription: Subscription) -> Harness:
        subscription.options["batch_messages"] = 1
        return subscription


async def test_messages_that_wait_together_travel_as_one_body_and_are_acknowledged_together(
    subscription: Subscription,
) -> None:
    await subscription.send(numbered(20))
    async with opened(subscription) as (source, iterator):
        (first,) = await pull(iterator, 1)
        await until(lambda: len(first.body.split()) + len(source._subscription.arrived) == 20)  # type: ignore[attr-defined]
        (rest,) = await pull(iterator, 1)
        assert sorted(first.body.split() + rest.body.split()) == sorted(numbered(20))
        assert rest.origin.locator.endswith(f"+{len(rest.body.split()) - 1}")
        await rest.acknowledge()
        await first.acknowledge()
        await asyncio.sleep(0.5)
    assert await subscription.left() == []


async def test_what_is_held_is_given_back_at_once_when_it_closes(subscription: Subscription) -> None:
    await subscription.send(numbered(5))
    async with opened(subscription) as (source, iterator):
        (first,) = await pull(iterator, 1)
        await until(lambda: len(first.body.split()) + len(source._subscription.arrived) == 5)  # type: ignore[attr-defined]
    assert sorted(await subscription.left()) == numbered(5)


async def test_a_delivery_that_is_settled_after_the_close_counts_for_nothing(subscription: Subscription) -> None:
    await subscription.send(BODIES[:1])
    async with opened(subscription) as (_, iterator):
        (late,) = await pull(iterator, 1)
    await asyncio.wait_for(late.acknowledge(), 1)
    assert await subscription.left() == BODIES[:1]


async def test_a_lease_is_extended_while_the_brokers_are_away(subscription: Subscription) -> None:
    await subscription.send(numbered(1))
    async with opened(subscription) as (_, iterator):
        (first,) = await pull(iterator, 1)
        waiting = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
        done, _pending = await asyncio.wait({waiting}, timeout=14)  # the deadline is 10 s
        assert not done
        await first.acknowledge()
        await asyncio.sleep(0.3)
        assert await subscription.left() == []
    await asyncio.gather(waiting, return_exceptions=True)


async def test_no_more_than_the_limit_is_held_at_once(subscription: Subscription) -> None:
    subscription.options |= {"max_outstanding_messages": 3, "batch_messages": 1}
    await subscription.send(numbered(10))
    async with opened(subscription) as (source, iterator):
        (first,) = await pull(iterator, 1)
        await asyncio.sleep(1)
        assert len(source._subscription.arrived) + len(source._runs) + len(source._live) <= 3  # type: ignore[attr-defined]
        found = [first.body]
        await first.acknowledge()
        for _ in range(9):
            (each,) = await pull(iterator, 1)
            found.append(each.body)
            await each.acknowledge()
        assert sorted(found) == numbered(10)


async def test_the_dead_letter_policy_counts_what_is_handed_back_and_that_is_told(server: str, tmp_path: Path) -> None:
    made = Subscription(server, tmp_path, {"warn_attempts": 3})
    dead = f"projects/{PROJECT}/subscriptions/dead"
    await asyncio.to_thread(made.publisher.create_topic, name=DEAD)
    await asyncio.to_thread(made.subscriber.create_subscription, request={"name": dead, "topic": DEAD})
    await asyncio.to_thread(made.create, dead_letter_policy={"dead_letter_topic": DEAD, "max_delivery_attempts": 5})
    await made.send(BODIES[:1])
    async with opened(made) as (_, iterator):
        for _ in range(5):
            (each,) = await pull(iterator, 1)
            await each.reject("not now", retry=True)
        await asyncio.sleep(0.5)
    assert await made.left(dead) == BODIES[:1]
    told = [str(warning) for warning in made.told.warnings]
    assert ["3th time" in told[0], "4th time" in told[1], "5th time" in told[2]] == [True, True, True]
    await asyncio.to_thread(made.close)


@pytest.mark.parametrize("exactly_once", [False, True])
async def test_a_collector_publishes_all_and_acknowledges_all(
    server: str, tmp_path: Path, *, exactly_once: bool
) -> None:
    made = Subscription(server, tmp_path)
    await asyncio.to_thread(made.create, enable_exactly_once_delivery=exactly_once)
    await made.send([*numbered(60), b"!", b"bug"])
    publisher = MemoryPublisher(["lost", "applied", "slow"])
    collector = Collector(
        Identity("p", "acme", LineFormat()),
        await made.open(),
        publisher,
        put_object=lambda namespace, body: f"{namespace}/{len(body)}",
        clock=lambda: NOW,
        backoff=EAGER,
    )
    running = asyncio.create_task(collector.run())
    await until(lambda: collector.counts.received >= 62, 30)
    await asyncio.sleep(0.5)
    collector.stop()
    await asyncio.wait_for(running, 20)
    assert set(publisher.records) == set(numbered(60))
    assert {letter.body for letter in publisher.letters} == {b"!", b"bug"}
    assert await made.left() == []
    await asyncio.to_thread(made.close)


async def test_acknowledgements_that_fail_for_a_while_are_sent_again(tmp_path: Path) -> None:
    async with running_pstest("Acknowledge=14*3", "ModifyAckDeadline=14*2") as address:
        made = Subscription(address, tmp_path, {"batch_messages": 1})
        await asyncio.to_thread(made.create)
        await made.send(BODIES)
        found: set[bytes] = set()
        async with opened(made) as (_, iterator):
            async with asyncio.timeout(60):
                while found != set(BODIES) or await made.left():
                    each = await asyncio.wait_for(anext(iterator), 30)
                    found.add(each.body)
                    await each.acknowledge()
                    await asyncio.sleep(0.3)
        await asyncio.to_thread(made.close)


async def test_an_acknowledgement_that_is_refused_for_a_while_is_repeated_until_it_counts(tmp_path: Path) -> None:
    server = ExactlyOnce(BODIES[0], ["TRANSIENT_FAILURE_UNORDERED_ACK_ID"])
    made = Subscription(server.address, tmp_path)
    async with opened(made) as (_, iterator):
        (only,) = await pull(iterator, 1)
        await asyncio.wait_for(only.acknowledge(), 20)
        assert server.acknowledged
        assert made.told.warnings == []
    await asyncio.to_thread(made.close)
    await asyncio.to_thread(server.close)


async def test_an_acknowledgement_that_is_refused_for_good_is_told_and_its_message_comes_again(tmp_path: Path) -> None:
    server = ExactlyOnce(BODIES[0], ["PERMANENT_FAILURE_INVALID_ACK_ID"])
    made = Subscription(server.address, tmp_path)
    async with opened(made) as (_, iterator):
        (first,) = await pull(iterator, 1)
        await asyncio.wait_for(first.acknowledge(), 20)
        assert "1 of 1 messages were not: INVALID_ACK_ID; they come again" in str(made.told.warnings[0])
        (again,) = await pull(iterator, 1)
        assert again.body == first.body
        await asyncio.wait_for(again.acknowledge(), 20)
        assert server.acknowledged
    await asyncio.to_thread(made.close)
    await asyncio.to_thread(server.close)


async def test_a_subscription_that_is_not_there_is_refused_and_named(subscription: Subscription) -> None:
    source = await subscription.open(subscription="other")
    with pytest.raises(SourceRefused, match="subscriptions/other; it does not exist"):
        await pull(source.deliveries(), 1)
    await source.close()


async def test_a_subscription_that_is_deleted_while_we_pull_is_refused(subscription: Subscription) -> None:
    subscription.options["probe_interval_s"] = 0.3  # this server leaves the stream of a deleted subscription open
    async with opened(subscription) as (_, iterator):
        await subscription.send(BODIES[:1])
        (first,) = await pull(iterator, 1)
        await first.acknowledge()
        await asyncio.to_thread(subscription.subscriber.delete_subscription, subscription=subscription.settings().path)
        with pytest.raises(SourceRefused, match="does not exist"):
            await asyncio.wait_for(anext(iterator), 30)


async def test_a_stream_that_brings_nothing_for_long_is_opened_anew(subscription: Subscription) -> None:
    subscription.options["probe_interval_s"] = 0.05
    async with opened(subscription) as (source, iterator):
        waiting = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
        await until(lambda: source._subscription._stream is not None)  # type: ignore[attr-defined]
        first = source._subscription._stream  # type: ignore[attr-defined]
        await until(lambda: source._subscription._stream not in (None, first))  # type: ignore[attr-defined]
        assert first.ended
        await subscription.send(BODIES[:1])
        only = await asyncio.wait_for(waiting, 30)
        assert only.body == BODIES[0]
        await only.acknowledge()
        await asyncio.sleep(0.3)
    assert await subscription.left() == []


async def test_denied_permission_to_look_does_not_stop_what_may_pull(tmp_path: Path) -> None:
    async with running_pstest("GetSubscription=7*100") as address:
        made = Subscription(address, tmp_path)
        await asyncio.to_thread(made.create)
        await made.send(BODIES[:1])
        async with opened(made) as (_, iterator):
            assert [each.body for each in await pull(iterator, 1)] == BODIES[:1]
        await asyncio.to_thread(made.close)


@pytest.mark.parametrize(("code", "what"), [(16, "credentials are refused"), (9, "correct the settings")])
async def test_an_answer_that_will_not_change_names_its_mend(tmp_path: Path, code: int, what: str) -> None:
    async with running_pstest(f"GetSubscription={code}*100") as address:
        made = Subscription(address, tmp_path)
        source = await made.open()
        with pytest.raises(SourceRefused, match=what):
            await pull(source.deliveries(), 1)
        await source.close()
        await asyncio.to_thread(made.close)


async def test_a_service_that_goes_away_is_told_and_used_again_when_it_is_back(server: str, tmp_path: Path) -> None:
    async with Relay(server).running() as network:
        made = Subscription(network.address, tmp_path, {"probe_interval_s": 0.3})
        await asyncio.to_thread(made.create)
        async with opened(made) as (source, iterator):
            waiting = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
            await until(lambda: source._subscription._stream is not None)  # type: ignore[attr-defined]
            network.take_away()
            await until(lambda: made.told.warnings, 30)
            assert "ServiceUnavailable" in str(made.told.warnings[0])
            network.away = False
            await made.send(BODIES[:1])
            assert (await asyncio.wait_for(waiting, 60)).body == BODIES[0]
        await asyncio.to_thread(made.close)


@pytest.mark.parametrize(
    "content",
    [
        {"type": "nothing"},
        {"type": "service_account", "client_email": "reader@example.org"},
        {"type": "external_account", "credential_source": {"executable": {"command": "/bin/true"}}},
    ],
)
def test_credentials_that_are_none_or_start_a_program_are_named(content: object, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"reading credentials.*key\.json"):
        list(inspect(PubSubSettings(project="p", subscription="s", credentials_file=file)))


def test_a_workload_identity_is_taken_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "identity.json"
    content = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": str(tmp_path / "token")},
    }
    file.write_text(json.dumps(content))
    (finding,) = inspect(PubSubSettings(project="p", subscription="s", credentials_file=file))
    assert (finding.state, finding.secret_files) == ("ok", (file,))


def test_logs_are_not_pulled_in_the_clear_beyond_this_machine() -> None:
    settings = PubSubSettings(project="p", subscription="s", endpoint="pubsub.example.org:443", plaintext=True)
    with pytest.raises(ConfigError, match="plaintext beyond loopback"):
        list(inspect(settings))
