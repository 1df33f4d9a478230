"""Proves objects of Cloud Storage that a subscription announces.

Nothing is changed. One message is pulled and given back at once, which a dead-letter policy counts as an attempt; the
object that it announces is read. Which buckets announce to the topic can't be asked of a subscription.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable

from ingest.schema.errors import MalformedBody
from ingest.transports.gcs_pubsub.notifications import announced
from ingest.transports.gcs_pubsub.settings import GcsPubSubSettings
from ingest.transports.google_cloud.storage import Storage
from skytrail.diagnosis.check import Check
from skytrail.onboarding.google_asking import SubscriptionProof, read_object, subscription_proof
from skytrail.onboarding.proving import Asked, Plan, ProofStep

_FIRST_S = 3900.0  # a log sink writes a file an hour; the notification follows within seconds, says Google


@contextlib.asynccontextmanager
async def open_plan(asked: Asked) -> AsyncIterator[Plan]:
    """The steps for a collector of the transport gcs_pubsub."""
    own = asked.settings.own
    assert isinstance(own, GcsPubSubSettings)
    storage = Storage(own.credentials_file, own.storage_endpoint, threads=1)
    try:
        async with subscription_proof(own, wants_dead_letters=True) as proof:

            async def objects() -> Iterable[Check]:
                return [await _object(proof, storage)]

            step = ProofStep("objects", objects, ("rights on the subscription",))
            yield Plan([*proof.steps(), step], _FIRST_S)
    finally:
        await storage.close()


async def _object(proof: SubscriptionProof, storage: Storage) -> Check:
    """Read the object that the message announced which waited."""
    if proof.message is None:
        mend = "write an object into the bucket and ask again"
        return Check("objects", "skipped", "no object is announced now, so none can be read", mend)
    message = proof.message.message
    try:
        ref = announced(message.attributes, message.data)
    except MalformedBody as exc:
        return Check("objects", "fail", exc.what, exc.mend)
    if ref is None:
        return Check("objects", "skipped", "what waits announces no new object", "write one and ask again")
    return await read_object(storage, ref)
