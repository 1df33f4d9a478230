"""What a source of messages hands on: one message, or several that travel as one body."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from ingest.schema.envelope import Origin


class MessageDelivery:
    """A body and what to do with its messages once it is settled; settling twice is harmless.

    Args:
        on_settled: The source may forget them.
        on_returned: They are wanted again.
        on_given_up: They will not be wanted again, and why.
    """

    def __init__(
        self,
        origin: Origin,
        body: bytes,
        received_at: dt.datetime,
        *,
        on_settled: Callable[[], None],
        on_returned: Callable[[MessageDelivery], None],
        on_given_up: Callable[[str], None],
        source: str = "",
    ) -> None:
        self.origin = origin
        self.body = body
        self.received_at = received_at
        self.source = source
        self._on_settled = on_settled
        self._on_returned = on_returned
        self._on_given_up = on_given_up
        self._settled = False

    async def acknowledge(self) -> None:
        """See `Delivery.acknowledge`."""
        if not self._settled:
            self._settled = True
            self._on_settled()

    async def reject(self, reason: str, *, retry: bool) -> None:
        """See `Delivery.reject`."""
        if self._settled:
            return
        if retry:
            self._on_returned(self)
        else:
            self._settled = True
            self._on_given_up(reason)
