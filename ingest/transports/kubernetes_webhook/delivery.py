"""A posted body on its way: straight to the collector, into the spool, or both."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable

import msgspec

from ingest.schema.envelope import Origin
from ingest.schema.errors import SkytrailError
from ingest.spool import Spool, Ticket
from ingest.transports.spooled import settle

_NAME = "kubernetes_webhook"


class Posted(msgspec.Struct, frozen=True):
    """What one request brought; this is also what the spool keeps.

    Attributes:
        source: The id in the path.
        received_at: When the body was complete (UTC).
    """

    source: str
    received_at: dt.datetime
    body: bytes


class WebhookDelivery:
    """A posted body and the duty to settle it.

    While it has no ticket a request waits for it; with one, the spool remembers it.

    Args:
        on_settled: Called once it is acknowledged or handed back.
        warn: Hears that a drained position could not be noted.
    """

    def __init__(
        self,
        posted: Posted,
        spool: Spool,
        *,
        on_settled: Callable[[WebhookDelivery], None],
        warn: Callable[[SkytrailError], None],
        ticket: Ticket | None = None,
    ) -> None:
        self.body = posted.body
        self.received_at = posted.received_at
        self.source = posted.source
        # The API server sends a batch again after a timeout: the same bytes get the same locator.
        request = hashlib.sha256(posted.body).hexdigest()[:16]
        self.origin = Origin(transport=_NAME, locator=f"/k8s/{posted.source}/{request}")
        self.kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._spool = spool
        self._on_settled = on_settled
        self._warn = warn
        self._ticket = ticket

    async def acknowledge(self) -> None:
        """See `Delivery.acknowledge`."""
        await self._settle(kept=True)

    async def reject(self, reason: str, *, retry: bool) -> None:
        """See `Delivery.reject`; without `retry` the caller has taken care of the bytes."""
        del reason  # whoever rejects has told it; the spool keeps bytes, not stories
        await self._settle(kept=not retry)

    async def spooled(self, ticket: Ticket) -> None:
        """The spool has it: from now on settling it settles the frame."""
        self._ticket = ticket
        if self.kept.done():
            await self._tell_spool(ticket, kept=self.kept.result())

    async def _settle(self, *, kept: bool) -> None:
        if self.kept.done():
            return
        self.kept.set_result(kept)
        if self._ticket is not None:
            await self._tell_spool(self._ticket, kept=kept)
        self._on_settled(self)

    async def _tell_spool(self, ticket: Ticket, *, kept: bool) -> None:
        if kept:
            await settle(self._spool, ticket, self._warn)
        else:
            self._spool.give_back(ticket)
