"""Messages in the spool, and on their way from there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec

from ingest.schema.envelope import Origin
from ingest.schema.errors import IntegrityError, SkytrailError, SourceRefused, StoreUnavailable
from ingest.spool import Spool, Ticket


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


def encode(received: Received) -> bytes:
    """The payload of a spool frame."""
    return msgspec.msgpack.encode(received)


def decode(payload: bytes, ticket: Ticket) -> Received:
    """Read a spool frame.

    Raises:
        IntegrityError: It is whole but not ours: the spool of another program or version.
    """
    try:
        return msgspec.msgpack.decode(payload, type=Received)
    except msgspec.MsgspecError as exc:
        raise IntegrityError(f"reading spool: {exc}", where=str(ticket)) from exc


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
        try:
            await self._spool.done(self._ticket)
        except StoreUnavailable as exc:
            self._warn(exc)  # the body is in the brokers; a restart would only deliver it once more

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
