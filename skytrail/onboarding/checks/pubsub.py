"""Proves a subscription of Pub/Sub. The log sink before it is not asked: the reader may not see it.

Nothing is changed. One message is pulled and given back at once, which a dead-letter policy counts as an attempt.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from ingest.transports.pubsub.settings import PubSubSettings
from skytrail.onboarding.google_asking import subscription_proof
from skytrail.onboarding.proving import Asked, Plan

_FIRST_S = 300.0  # a sink routes within seconds, says Google; a new one needs some minutes


@contextlib.asynccontextmanager
async def open_plan(asked: Asked) -> AsyncIterator[Plan]:
    """The steps for a collector of the transport pubsub."""
    own = asked.settings.own
    assert isinstance(own, PubSubSettings)
    async with subscription_proof(own) as proof:
        yield Plan(proof.steps(), _FIRST_S)
