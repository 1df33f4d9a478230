"""A sender over real TLS that posts again what is not answered 200, cuts connections and forgets answers."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from skytrail.local.ports import any_free
from tests.faults.killing import REPEATED
from tests.ingest.transports.authority import Authority

_PAUSE_S = 0.05
_ROOM_BYTES = 24 * 1024  # of bodies that an endpoint holds: about two, so that many senders at once are turned away
_OK = 200


class Request(NamedTuple):
    """What is posted."""

    path: str
    body: bytes
    headers: dict[str, str]


@dataclass(slots=True)
class Poster:
    """A source that sends by itself, whether a collector listens or not.

    Attributes:
        made: Makes records by their ids.
        asked: What one attempt posts: records, and an id which all attempts have.
        options: Settings of the transport beside those of every endpoint.
        answers: How many requests were answered with each status; 0 is a connection that ended without one.
    """

    transport: str
    format: str
    made: Callable[[random.Random, int], dict[str, bytes]]
    asked: Callable[[Sequence[bytes], str], Request]
    options: dict[str, Any]
    directory: Path
    answers: Counter[int] = field(default_factory=Counter)
    _port: int = field(default_factory=any_free)
    _cuts: int = 0
    _forgotten: int = 0
    _sending: set[asyncio.Task[None]] = field(default_factory=set)
    _session: aiohttp.ClientSession | None = None
    _certificate: tuple[Path, Path] = (Path(), Path())

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncIterator[Poster]:
        """Send what is put, until the block ends."""
        authority = Authority(self.directory, self.transport)
        self._certificate = authority.issue(f"{self.transport}-endpoint")
        connector = aiohttp.TCPConnector(ssl=authority.trusting())
        async with aiohttp.ClientSession(f"https://127.0.0.1:{self._port}", connector=connector) as self._session:
            try:
                yield self
            finally:
                for task in self._sending:
                    task.cancel()
                await asyncio.gather(*self._sending, return_exceptions=True)

    def records(self, rng: random.Random, count: int) -> dict[str, bytes]:
        return self.made(rng, count)

    def settings(self, _directory: Path) -> dict[str, Any]:
        certificate, key = map(str, self._certificate)
        return {
            "port": self._port,
            "certificate_file": certificate,
            "key_file": key,
            "max_in_flight_bytes": _ROOM_BYTES,
            **self.options,
        }

    async def put(self, number: int, records: Sequence[bytes]) -> None:
        self._send(records, f"request-{number}")
        if number % REPEATED == 0:
            self._send(records, f"request-{number}-again")  # clouds repeat themselves under new ids too

    async def left(self) -> int:
        return len(self._sending)

    def trouble(self) -> None:
        self._cuts, self._forgotten = 6, 6

    def _send(self, records: Sequence[bytes], name: str) -> None:
        task = asyncio.create_task(self._until_kept(records, name))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _until_kept(self, records: Sequence[bytes], name: str) -> None:
        while True:
            if await self._posted(self.asked(records, name)) == _OK and not self._forgets():
                return
            await asyncio.sleep(_PAUSE_S)

    async def _posted(self, request: Request) -> int:
        """The status of the answer; 0 where none came."""
        assert self._session is not None
        cut = self._cuts > 0
        self._cuts -= cut
        limit = aiohttp.ClientTimeout(total=0.02 if cut else 30.0)
        status = 0
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.post(
                request.path, data=request.body, headers=request.headers, timeout=limit
            ) as answer:
                await answer.read()
                status = answer.status
        self.answers[status] += 1
        return status

    def _forgets(self) -> bool:
        """Whether an answer is lost on its way, so that the same is sent again."""
        lost = self._forgotten > 0
        self._forgotten -= lost
        return lost
