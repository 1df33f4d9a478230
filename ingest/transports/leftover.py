"""What lies in the spool of a transport that listens no more: delivered until nothing is left, never added to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from ingest.spool import Spool, Ticket
from ingest.transports.contract import Delivery

_LOOK_EVERY_S = 0.05
Opened = Callable[[bytes, Ticket, Spool], Delivery]


class Leftover:
    """The bodies of a spool.

    Args:
        spool: That of the transport; closed with this.
        delivery: Makes a delivery of a frame.

    Attributes:
        left: Bodies that are not settled.
    """

    def __init__(self, spool: Spool, delivery: Opened) -> None:
        self._spool = spool
        self._delivery = delivery
        self._closed = False
        self.left = spool.pending

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """See `Transport.deliveries`; it ends when all are settled."""
        while not self._closed and self._spool.pending:
            found = await self._spool.take()
            if found is None:
                await asyncio.sleep(_LOOK_EVERY_S)  # the last ones are on their way
                continue
            ticket, payload = found
            yield self._delivery(payload, ticket, self._spool)

    async def close(self) -> None:
        """See `Transport.close`; what is not acknowledged stays in the spool."""
        if not self._closed:
            self._closed = True
            self.left = self._spool.pending
            await self._spool.close()


def leftover_in(directory: Path, max_bytes: int, delivery: Opened) -> Leftover | None:
    """The bodies in a spool's directory; None where there is none.

    Raises:
        ConfigError: Another process has it, or it can't be used.
    """
    return Leftover(Spool(directory, max_bytes), delivery) if directory.is_dir() else None
