"""Posts to witnesses and time stamping authorities. The only place of the ledger that knows a network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import msgspec

MAX_REPLY_BYTES = 256 * 1024


class Reply(msgspec.Struct, frozen=True):
    """What the other side answered."""

    status: int
    body: bytes


Post = Callable[[str, bytes, str], Awaitable[Reply]]
"""Posts a body of a content type to an address.

Raises:
    OSError: No answer, or one that is too long.
"""


class HttpPost:
    """A `Post` over HTTP; follows no redirect, so that nobody is asked but who is named in the settings.

    Args:
        timeout_s: Seconds for a whole exchange.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str, body: bytes, content_type: str) -> Reply:
        """See `Post`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        headers = {"Content-Type": content_type}
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                found = b""
                async for chunk in response.content.iter_any():
                    found += chunk
                    if len(found) > MAX_REPLY_BYTES:
                        raise OSError(f"the answer has more than {MAX_REPLY_BYTES} bytes")
                return Reply(response.status, found)
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:  # ValueError: a host that no name can be
            raise OSError(f"{type(exc).__name__}: {exc}") from exc

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
