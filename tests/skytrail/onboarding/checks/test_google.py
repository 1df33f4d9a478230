"""Subscriptions and buckets of Google Cloud, proven on pstest and fake-gcs-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.pubsub_v1.types import Subscription as Described

from skytrail.onboarding.google_asking import _broken, _loose
from tests.ingest.transports.contract import BODIES
from tests.ingest.transports.gcs_listing.test_gcs_listing import Listed
from tests.ingest.transports.gcs_pubsub.test_gcs_pubsub import Announced, harness
from tests.ingest.transports.google_cloud.servers import running_pstest
from tests.ingest.transports.pubsub.subscription import DEAD, TOPIC, Subscription
from tests.skytrail.onboarding.checks.proofs import proof, states

__all__ = ["harness"]
KEPT = {"message_retention_duration": {"seconds": 7 * 86_400}}


@pytest.fixture
async def subscription(tmp_path: Path) -> AsyncIterator[Subscription]:
    async with running_pstest() as address:
        made = Subscription(address, tmp_path)
        yield made
        await asyncio.to_thread(made.close)


async def test_a_subscription_that_can_be_pulled_is_proven_and_keeps_its_message(subscription: Subscription) -> None:
    await asyncio.to_thread(subscription.create, **KEPT)
    await subscription.send(BODIES[:1])
    found = await proof("pubsub", subscription.settings())
    assert states(found) == {"credentials": "ok", "subscription": "ok", "rights on the subscription": "ok"}
    assert found["subscription"].found == f"pulls from {TOPIC}"
    assert "one waited and was given back" in found["rights on the subscription"].found
    assert await subscription.left() == BODIES[:1]


async def test_a_subscription_that_is_not_there_is_named_and_not_pulled(subscription: Subscription) -> None:
    found = await proof("pubsub", subscription.settings())
    assert states(found) == {"credentials": "ok", "subscription": "fail", "rights on the subscription": "skipped"}
    assert "does not exist" in found["subscription"].mend


async def test_a_subscription_that_we_may_not_look_at_can_be_pulled(tmp_path: Path) -> None:
    async with running_pstest("GetSubscription=7*9") as address:
        made = Subscription(address, tmp_path)
        await asyncio.to_thread(made.create)
        found = await proof("pubsub", made.settings())
        assert states(found) == {"credentials": "ok", "subscription": "warn", "rights on the subscription": "ok"}
        assert "roles/pubsub.viewer" in found["subscription"].mend
        await asyncio.to_thread(made.close)


async def test_a_right_that_is_missing_is_denied_with_the_role_that_gives_it(tmp_path: Path) -> None:
    async with running_pstest("Pull=7*9") as address:
        made = Subscription(address, tmp_path)
        await asyncio.to_thread(made.create, **KEPT)
        found = await proof("pubsub", made.settings())
        denied = found["rights on the subscription"]
        assert (denied.state, denied.denied) == ("fail", True)
        assert "roles/pubsub.subscriber" in denied.mend
        await asyncio.to_thread(made.close)


def test_what_a_subscription_says_of_itself_is_judged() -> None:
    hour = {"message_retention_duration": {"seconds": 3600}}
    assert [told for told, _ in _loose(Described(**hour), wants_dead_letters=False)] == [
        "it keeps messages for 1 h: a longer stop loses logs"
    ]
    dies = {"expiration_policy": {"ttl": {"seconds": 31 * 86_400}}}
    assert [told for told, _ in _loose(Described(**dies), wants_dead_letters=True)] == [
        "it is deleted after 31 days in which nobody pulls",
        "no dead-letter policy: what can't be read comes again until it expires",
    ]
    guarded = KEPT | {"dead_letter_policy": {"dead_letter_topic": DEAD}}
    assert list(_loose(Described(**guarded), wants_dead_letters=True)) == []
    assert _broken(Described(topic="_deleted-topic_")) is not None
    assert _broken(Described(topic=TOPIC, push_config={"push_endpoint": "https://example.org"})) is not None
    assert _broken(Described(topic=TOPIC, state=2)) is not None
    assert _broken(Described(topic=TOPIC, state=1)) is None


async def test_announced_objects_are_proven_by_the_one_that_waits(harness: Announced) -> None:
    harness.options["prefix"] = "cloudaudit/"
    found = await proof("gcs_pubsub", harness.settings())
    assert (found["subscription"].state, found["objects"].state) == ("warn", "skipped")
    assert "dead-letter policy" in found["subscription"].mend
    await harness.send(BODIES[:1])
    found = await proof("gcs_pubsub", harness.settings())
    assert found["objects"].found == "gs://audit-logs/cloudaudit/0001.json can be read"
    assert len(await harness.subscription.left()) == 1


async def test_a_message_that_announces_nothing_fails_and_says_why(harness: Announced) -> None:
    await harness.announce(kind="something else")
    found = await proof("gcs_pubsub", harness.settings())
    assert found["objects"].state == "fail"
    assert "not of Cloud Storage" in found["objects"].found


async def test_a_listed_bucket_is_proven_by_its_first_object(harness: Announced) -> None:
    listed = Listed(harness.bucket, harness.told, harness.endpoint)
    assert states(await proof("gcs_listing", listed.settings())) == {
        "credentials": "ok",
        "bucket": "warn",
        "objects": "skipped",
    }
    await listed.send(BODIES[:1])
    found = await proof("gcs_listing", listed.settings())
    assert states(found) == {"credentials": "ok", "bucket": "ok", "objects": "ok"}
    listed.options["bucket"] = "nowhere"
    found = await proof("gcs_listing", listed.settings())
    assert states(found) == {"credentials": "ok", "bucket": "fail", "objects": "skipped"}
