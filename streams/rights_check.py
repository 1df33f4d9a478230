"""At start a role attempts what its identities must not be able to do, and refuses to run when one of them succeeds."""

from __future__ import annotations

import asyncio

import structlog

from storage.index.client import Identity, connect
from storage.index.duties import refuse_excess_rights
from storage.settings import ElasticsearchSettings

TIMEOUT_S = 10.0
IDENTITIES: dict[str, tuple[Identity, ...]] = {
    "index": ("indexer", "reader"),
    "detect": ("alerter",),
    "rotate": ("retention", "reader"),
}
"""Elasticsearch identities per role; the sealer has none and probes its archive instead."""

log = structlog.get_logger("skytrail.worker")


def check_rights(role: str, settings: ElasticsearchSettings) -> None:
    """Test every identity of a role. An Elasticsearch that is away delays nothing: the log says what is unproven.

    Raises:
        ConfigError: An identity may do more than its duty.
    """
    for identity in IDENTITIES.get(role, ()):
        if not asyncio.run(_proven(settings, identity)):
            log.warning(
                "rights not tested",
                role=role,
                identity=identity,
                reason="Elasticsearch could not be asked",
                mend="`skytrail doctor` tests them; so does the next start",
            )


async def _proven(settings: ElasticsearchSettings, identity: Identity) -> bool:
    client = connect(settings, identity)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await refuse_excess_rights(client, identity) == "proven"
    except TimeoutError:
        return False
    finally:
        await client.close()
