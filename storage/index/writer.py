"""The bulk writer: returns when every document is in the index, known to be there, or refused for good.

Contract: nothing is dropped, a failure that is not the document's own is retried for ever (cancel the call to give up),
and a bad document harms no neighbour. Writing the same ids again changes nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from ingest.schema.errors import IndexUnavailable
from storage.index import client as es
from storage.index.bulk import BulkItem, Mend, Observer, Outcome, Unobserved
from storage.index.outcomes import FILTER_PATH, Fate, Told, all_kept, fate, read_items
from storage.index.pace import Pace, pause_s

MAX_DOCUMENT_BYTES: Final = 20 * 1024 * 1024
"""Larger documents are refused unsent; Elasticsearch's own limit for a request is 100 MB."""
_HEADERS: Final = {"accept": "application/json", "content-type": "application/x-ndjson"}
_ACTION_BYTES: Final = 100  # about, per document
_SUSPICIOUS_SHARE: Final = 0.5  # of a bulk refused: rather a wrong template than so many bad documents
_SUSPICIOUS_FROM: Final = 20  # documents


@dataclass(slots=True)
class _Batch:
    """The state of one `write`."""

    items: list[BulkItem]
    outcome: Outcome = field(default_factory=Outcome)
    in_doubt: set[int] = field(default_factory=set)
    tried_to_mend: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Left:
    """What an answer leaves to do: `later` after a pause, `now` in requests of their own."""

    later: list[int] = field(default_factory=list)
    now: list[list[int]] = field(default_factory=list)
    cause: Fate = Fate.AWAY


class Writer:
    """Writes documents of one identity.

    Args:
        client: See `client.connect`.
        bulk_bytes: Bytes of a bulk request.
        in_flight: Bulk requests at once.
        timeout_s: The client's timeout; the server is told to give up a little earlier.
        observer: Hears about progress and trouble.
        mend: See `Mend`; without it what the server refuses is refused.
        sleep: Waits that many seconds; tests pass one that does not.
        chance: Uniform in [0, 1).
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        client: AsyncElasticsearch,
        *,
        bulk_bytes: int = 8 * 1024 * 1024,
        in_flight: int = 2,
        timeout_s: float = 30.0,
        observer: Observer | None = None,
        mend: Mend | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._pace = Pace(in_flight, bulk_bytes)
        self._server_timeout = f"{max(1, int(timeout_s * 0.8))}s"
        self._observer = observer or Unobserved()
        self._mend = mend
        self._sleep = sleep
        self._chance = chance
        self._clock = clock

    @property
    def pace(self) -> Pace:
        """The current limits, for metrics."""
        return self._pace

    async def write(self, documents: Sequence[BulkItem]) -> Outcome:
        """Write documents; returns when each has its place in the outcome.

        Raises:
            asyncio.CancelledError: The caller gave up; any part may have been written. Write the same again later.
        """
        batch = _Batch(list(documents))
        fitting = []
        for position, item in enumerate(batch.items):
            if len(item.body) > MAX_DOCUMENT_BYTES:
                reason = f"{len(item.body)} bytes, the limit is {MAX_DOCUMENT_BYTES}"
                batch.outcome.refused.append((position, "document_too_large", reason))
            else:
                fitting.append(position)
        async with asyncio.TaskGroup() as group:
            for chunk in self._cut(batch, fitting):
                group.create_task(self._deliver(batch, chunk))
        outcome = batch.outcome
        for positions in (outcome.created, outcome.duplicate, outcome.uncertain):
            positions.sort()
        outcome.refused.sort()
        outcome.mended = [i for i in outcome.created if i in batch.tried_to_mend]
        return outcome

    async def _deliver(self, batch: _Batch, first: list[int]) -> None:
        """Repeat until each document of `first` has its fate."""
        work = deque([first])
        failures = 0
        while work:
            chunk = work.popleft()
            async with self._pace.slot():
                answer = await self._send([batch.items[i] for i in chunk])
            left = self._settle(batch, chunk, answer)
            work.extendleft(reversed(left.now))
            if not left.later:
                failures = 0
                continue
            failures += 1
            if left.cause is Fate.BUSY:
                self._pace.overloaded()
            work.extendleft(reversed(self._cut(batch, left.later)))
            pause = pause_s(failures, self._chance(), busy=left.cause is Fate.BUSY)
            self._observer.retrying(left.cause.name.lower(), len(left.later), pause)
            await self._sleep(pause)

    async def _send(self, items: list[BulkItem]) -> list[Told] | Told | TransportError | None:
        """One bulk request.

        Returns:
            What was told of each document; one `Told` for the whole request; the reason why there is no answer; None
            when every document was kept.
        """
        body = b"".join(_lines(item) for item in items)
        began = self._clock()
        try:
            answer = await self._client.perform_request(
                "POST",  # not PUT, as the client's `bulk` does: aiohttp repeats PUT by itself when a connection breaks
                "/_bulk",
                params={"pipeline": "_none", "filter_path": FILTER_PATH, "timeout": self._server_timeout},
                headers=_HEADERS,
                body=body,
                endpoint_id="bulk",
            )
        except ApiError as exc:
            return Told(exc.status_code, *es.error_of(exc.body))
        except TransportError as exc:
            return exc
        self._observer.sent(len(items), len(body), self._clock() - began)
        if all_kept(answer.body, len(items)):
            return None
        return read_items(answer.body, len(items)) or TransportError("the answer does not belong to the request")

    def _settle(self, batch: _Batch, chunk: list[int], answer: list[Told] | Told | TransportError | None) -> _Left:
        """Enter what is decided into the outcome; give back the rest."""
        if answer is None:
            self._pace.answered()
            batch.outcome.created.extend(chunk)
            return _Left()
        if isinstance(answer, TransportError):
            if not es.surely_not_sent(answer):
                batch.in_doubt.update(chunk)
            self._observer.alarm(es.explain(answer, "writing to Elasticsearch"))
            return _Left(later=chunk)
        if isinstance(answer, Told):
            return self._settle_request(batch, chunk, answer)
        self._pace.answered()
        return self._settle_each(batch, chunk, answer)

    def _settle_request(self, batch: _Batch, chunk: list[int], told: Told) -> _Left:
        """The request failed as a whole."""
        what = fate(told)
        if what in (Fate.TOO_LARGE, Fate.REFUSED):
            if len(chunk) > 1:
                middle = len(chunk) // 2
                return _Left(now=[chunk[:middle], chunk[middle:]])
            return self._settle_each(batch, chunk, [told])
        if what is Fate.AWAY:
            batch.in_doubt.update(chunk)
        if what is not Fate.BUSY:
            self._observer.alarm(es.unavailable("writing to Elasticsearch", told.status, told.kind, told.reason))
        return _Left(later=chunk, cause=Fate.BLOCKED if what is Fate.KEPT else what)

    def _settle_each(self, batch: _Batch, chunk: list[int], answers: list[Told]) -> _Left:
        """Each document has an answer of its own."""
        left = _Left()
        refused: list[Told] = []
        mended: list[int] = []
        for position, told in zip(chunk, answers, strict=True):
            item = batch.items[position]
            match fate(told, item.operation):
                case Fate.KEPT:
                    batch.outcome.created.append(position)
                case Fate.KNOWN:
                    known = batch.outcome.uncertain if position in batch.in_doubt else batch.outcome.duplicate
                    known.append(position)
                case Fate.REFUSED | Fate.TOO_LARGE:
                    if self._mended(batch, position, told.reason):
                        mended.append(position)
                    else:
                        batch.outcome.refused.append((position, told.kind or f"http_{told.status}", told.reason))
                        refused.append(told)
                case again:
                    if again is Fate.AWAY:
                        batch.in_doubt.add(position)
                    if again is Fate.BLOCKED and left.cause is not Fate.BLOCKED:
                        where = f"index {item.index}"
                        self._observer.alarm(
                            es.unavailable("writing to Elasticsearch", told.status, told.kind, told.reason, where)
                        )
                    left.cause = again if left.cause is not Fate.BLOCKED else Fate.BLOCKED
                    left.later.append(position)
        left.now = self._cut(batch, mended)
        self._suspect(refused, len(chunk))
        return left

    def _mended(self, batch: _Batch, position: int, reason: str) -> bool:
        """Whether the document was changed so that it may be accepted; asked once each."""
        if self._mend is None or position in batch.tried_to_mend:
            return False
        batch.tried_to_mend.add(position)
        item = batch.items[position]
        body = self._mend(item.body, reason) if item.operation == "create" else None
        if body is None:
            return False
        batch.items[position] = BulkItem(item.index, item.id, body, item.operation)
        return True

    def _suspect(self, refused: list[Told], documents: int) -> None:
        """Tell someone when so much of a bulk is refused that the template rather than the documents is wrong."""
        if documents >= _SUSPICIOUS_FROM and len(refused) > documents * _SUSPICIOUS_SHARE:
            self._observer.alarm(
                IndexUnavailable(
                    f"writing to Elasticsearch: {len(refused)} of {documents} documents refused: {refused[0].reason}",
                    mend="compare the templates (`skytrail up` installs them), then `skytrail dead-letters redrive`",
                )
            )

    def _cut(self, batch: _Batch, positions: list[int]) -> list[list[int]]:
        """Chunks within the current size, in order; a document above it travels alone."""
        chunks: list[list[int]] = []
        size = 0
        for position in positions:
            bytes_ = len(batch.items[position].body) + _ACTION_BYTES
            if not chunks or size + bytes_ > self._pace.bulk_bytes:
                chunks.append([])
                size = 0
            chunks[-1].append(position)
            size += bytes_
        return chunks


def _lines(item: BulkItem) -> bytes:
    action: dict[str, object] = {"_index": item.index, "_id": item.id}
    if item.operation == "update":
        action["retry_on_conflict"] = 3
    return orjson.dumps({item.operation: action}) + b"\n" + item.body + b"\n"
