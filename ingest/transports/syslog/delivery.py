"""Messages in the spool, and on their way from there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec

from ingest.schema.envelope import Origin
from ingest.schema.errors import SkytrailError, SourceRefused
from ingest.spool import Spool, Ticket
from ingest.transports.spooled import settle


class Received(msgspec.Struct, frozen=True):
    """Messages that are one body; this is what the spool keeps.

    Attributes:
        source: Whose certificate it was; empty without one.
        locator: The sender's address, and what the first message claims.
        received_at: When they were read (UTC).
    """

    source: str
    locator: str
    received_at: dt.datetime
    body: bytes


class SyslogDelivery:
    """Messages that are one body, and the duty to settle them.

    Args:
        on_returned: Called once the spool gives them again.
        warn: Hears that a drained position could not be noted.
    """

    def __init__(
        self,
        received: Received,
        ticket: Ticket,
        spool: Spool,
        *,
        transport: str,
        on_returned: Callable[[], None],
        warn: Callable[[SkytrailError], None],
    ) -> None:
        self.body = received.body
        self.received_at = received.received_at
        self.source = received.source
        self.origin = Origin(transport=transport, locator=received.locator)
        self._ticket = ticket
        self._spool = spool
        self._on_returned = on_returned
        self._warn = warn
        self._settled = False

    async def acknowledge(self) -> None:
        """See `Delivery.acknowledge`."""
        if self._settled:
            return
        self._settled = True
        await settle(self._spool, self._ticket, self._warn)

    async def reject(self, reason: str, *, retry: bool) -> None:
        """See `Delivery.reject`."""
        if self._settled:
            return
        if retry:
            self._settled = True
            self._spool.give_back(self._ticket)
            self._on_returned()
        else:
            self._warn(SourceRefused(f"collecting messages: given up: {reason}", where=self.origin.locator))
            await self.acknowledge()
