"""What the proofs of sources of Google Cloud ask: credentials, a subscription, an object."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from google.api_core.exceptions import DeadlineExceeded, Forbidden, GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.cloud.pubsub_v1 import SubscriberClient
from google.pubsub_v1.types import PullResponse, ReceivedMessage, Subscription

from ingest.transports.google_cloud.access import credentials_of, meaning
from ingest.transports.google_cloud.objects import ObjectReader, ObjectRef
from ingest.transports.google_cloud.settings import SubscriptionSettings
from ingest.transports.google_cloud.storage import Storage
from ingest.transports.google_cloud.stream import new_client, refuse_unsafe
from skytrail.diagnosis.check import Check, Step
from skytrail.onboarding.proving import ProofStep

T = TypeVar("T")

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SUBSCRIBER = "roles/pubsub.subscriber on the subscription"
_ANSWER_S = 20.0
_PULL_S = 3.0  # a subscription without messages lets us wait
_SHORTEST_RETENTION_S = 4 * 86_400
_LIMIT = 64 * 1024 * 1024
_DELETED = "_deleted-topic_"


def credentials(file: Path | None, *, emulator: bool) -> Step:
    """A step that gets a token.

    Args:
        file: Holds credentials; None: the machine has them.
        emulator: None are used.
    """

    def refresh() -> str:
        found = credentials_of(file, _SCOPE)
        try:
            found.refresh(Request())
        except GoogleAuthError as exc:
            raise meaning("getting a token", exc, str(file or "the machine's credentials"), role=_SUBSCRIBER) from exc
        return str(getattr(found, "service_account_email", "") or "a token was given")

    async def look() -> Iterable[Check]:
        if emulator:
            return [Check("credentials", "ok", "an emulator on this machine asks for none")]
        return [Check("credentials", "ok", await asyncio.to_thread(refresh))]

    return look


class SubscriptionProof:
    """What a subscription says of itself, and whether we may pull.

    Attributes:
        message: One that waited; it was given back.
    """

    def __init__(self, client: SubscriberClient, settings: SubscriptionSettings, *, wants_dead_letters: bool) -> None:
        self._client = client
        self._settings = settings
        self._wants_dead_letters = wants_dead_letters
        self.message: ReceivedMessage | None = None

    def steps(self) -> list[ProofStep]:
        """In the order in which a person would mend things."""
        own = self._settings
        return [
            ProofStep("credentials", credentials(own.credentials_file, emulator=own.plaintext)),
            ProofStep("subscription", self.look, ("credentials",)),
            ProofStep("rights on the subscription", self.rights, ("credentials", "subscription")),
        ]

    async def look(self) -> Iterable[Check]:
        """Whether it is there, and keeps what it should."""
        name = "subscription"
        try:
            found = await self._ask("looking at subscription", self._described)
        except PermissionError:
            mend = "grant roles/pubsub.viewer on it: without it, a subscription that is missing is noticed later"
            return [Check(name, "warn", f"we may not look at {self._settings.path}", mend)]
        if broken := _broken(found):
            return [Check(name, "fail", *broken)]
        if loose := list(_loose(found, wants_dead_letters=self._wants_dead_letters)):
            return [Check(name, "warn", told, mend) for told, mend in loose]
        once = ", exactly once" if found.enable_exactly_once_delivery else ""
        narrow = f", filter {found.filter}" if found.filter else ""
        return [Check(name, "ok", f"pulls from {found.topic}{once}{narrow}")]

    async def rights(self) -> Iterable[Check]:
        """Pull one message and give it back."""
        path = self._settings.path

        def pull() -> ReceivedMessage | None:
            try:
                found: PullResponse = self._client.pull(subscription=path, max_messages=1, timeout=_PULL_S, retry=None)
            except DeadlineExceeded:
                return None
            for each in found.received_messages:
                self._client.modify_ack_deadline(subscription=path, ack_ids=[each.ack_id], ack_deadline_seconds=0)
            return next(iter(found.received_messages), None)

        self.message = await self._ask("pulling one message", pull)
        told = "one waited and was given back" if self.message else "none waits now"
        return [Check("rights on the subscription", "ok", f"we may pull messages; {told}")]

    def _described(self) -> Subscription:
        try:
            found: Subscription = self._client.get_subscription(
                subscription=self._settings.path, retry=None, timeout=_ANSWER_S
            )
        except Forbidden as exc:
            raise PermissionError from exc
        return found

    async def _ask(self, doing: str, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except (GoogleAPICallError, GoogleAuthError) as exc:
            raise meaning(doing, exc, self._settings.path, role=_SUBSCRIBER) from exc


@contextlib.asynccontextmanager
async def subscription_proof(
    settings: SubscriptionSettings, *, wants_dead_letters: bool = False
) -> AsyncIterator[SubscriptionProof]:
    """The proof of a subscription, with a client of its own.

    Args:
        settings: Which.
        wants_dead_letters: The collector leaves what it can't read to the subscription's policy.

    Raises:
        ConfigError: There are no usable credentials, or logs would travel in the clear.
    """
    refuse_unsafe(settings)
    client = await asyncio.to_thread(new_client, settings)
    try:
        yield SubscriptionProof(client, settings, wants_dead_letters=wants_dead_letters)
    finally:
        await asyncio.to_thread(client.close)


async def read_object(storage: Storage, ref: ObjectRef) -> Check:
    """Read the beginning of an object.

    Raises:
        SourceRefused: It can't be read.
        SourceUnavailable: It can't be read now.
    """
    piece = await ObjectReader(storage, ref, transport="check", limit=_LIMIT).next()
    if piece is None:
        return Check("objects", "ok", f"gs://{ref.locator} can be read; it is empty")
    return Check("objects", "ok", f"gs://{ref.locator} can be read")


def _broken(found: Subscription) -> tuple[str, str] | None:
    """Why nothing could be pulled, and what to do."""
    if found.topic == _DELETED:
        return "its topic was deleted", "make topic and sink anew, and a subscription of that topic"
    pushes: Any = found.push_config.push_endpoint or found.bigquery_config.table or found.cloud_storage_config.bucket
    if pushes:
        return f"it delivers to {pushes} by itself, and can't be pulled", "make a pull subscription of the same topic"
    if found.state == Subscription.State.RESOURCE_ERROR:
        return "Google says that it is broken (RESOURCE_ERROR)", "see its page in the console"
    return None


def _loose(found: Subscription, *, wants_dead_letters: bool) -> Iterable[tuple[str, str]]:
    """What works and should be changed."""
    kept_s = found.message_retention_duration.total_seconds()
    if 0 < kept_s < _SHORTEST_RETENTION_S:
        yield f"it keeps messages for {kept_s / 3600:.0f} h: a longer stop loses logs", "set 7 days"
    ends_s = found.expiration_policy.ttl.total_seconds() if found.expiration_policy else 0
    if ends_s:
        mend = "set --expiration-period=never"
        yield f"it is deleted after {ends_s / 86_400:.0f} days in which nobody pulls", mend
    if wants_dead_letters and not found.dead_letter_policy.dead_letter_topic:
        mend = "give it a dead-letter policy"
        yield "no dead-letter policy: what can't be read comes again until it expires", mend
