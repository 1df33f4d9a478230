"""A transport that others post to: what it shows of its endpoint."""

from __future__ import annotations

from collections import Counter

from ingest.transports.endpoint.server import Endpoint


class PostedTo:
    """Base of such transports.

    Args:
        endpoint: Where they post to.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: A port in use.
        """
        await self._endpoint.start()

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        return self._endpoint.port

    @property
    def answers(self) -> Counter[int]:
        """Answers given, by status."""
        return self._endpoint.answers
