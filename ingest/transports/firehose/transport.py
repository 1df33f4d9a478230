"""Amazon Data Firehose: an HTTPS endpoint for what it delivers, e.g. a subscription of CloudWatch Logs.

Request:  POST /firehose/<source-id>: JSON with the request's id and records in base64, perhaps gzip as a whole; the
          access key in a header.
          https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html
Answers:  JSON with the request's id and a time, and why where it is no 200. 200 once the brokers have every record,
          also for a repeat of such a request. 400 what is no request of Firehose, 401 a wrong key, 413 too large
          (Firehose puts that into its error bucket at once), 429 and 503 under pressure or while the brokers are away:
          it sends again until its retry duration is over, and then writes to its error bucket.
Body:     The data of a record; neighbours that are a line of JSON each travel together. A gzip stays as it is.
Delivery: At least once. The ids of the last `remembered_requests` are in memory: a repeat after a restart is published
          again, its records are duplicates. There is no spool: what was not answered 200 is Firehose's.
Order:    That of the records within a request, none among requests.
Tests:    tests/ingest/transports/firehose/
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator

from aiohttp import web

from ingest.schema.envelope import Origin
from ingest.schema.errors import MalformedBody, SourceRefused
from ingest.transports.contract import Place
from ingest.transports.endpoint.access import Tokens, refuse_unsafe
from ingest.transports.endpoint.posted import PostedTo
from ingest.transports.endpoint.server import Endpoint, closing_response
from ingest.transports.firehose.request import Request, answer_of, read_request
from ingest.transports.firehose.settings import FirehoseSettings
from ingest.transports.messages.delivery import MessageDelivery
from ingest.transports.messages.runs import cut_runs, joined

_NAME = "firehose"
_PATH = "/firehose"
_VERSION = "1.0"
_ID_HEADER = "X-Amz-Firehose-Request-Id"
_ID = web.RequestKey("id", str)
_THREAD_BYTES = 128 * 1024  # a larger request is read off the event loop
_WHY = {
    408: "the body did not come in time",
    413: "the request is too large: lower the buffering hint of the stream, or raise max_body_bytes",
    429: "too much at once: send it again",
    503: "not kept yet: send it again",
}
_KEY = tuple[str, bytes]
"""Source and digest of a request."""


async def open_transport(settings: FirehoseSettings, place: Place) -> Firehose:
    """Listen.

    Raises:
        ConfigError: Unsafe or wrong settings, a port in use.
    """
    firehose = Firehose(settings, place)
    await firehose.start()
    return firehose


class _Live:
    """A request whose records are on their way."""

    def __init__(self, waiting: int, size: int) -> None:
        self.waiting = waiting
        self.size = size
        self.kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def settle(self, *, ok: bool) -> None:
        """One body is done, or the whole request is the sender's again."""
        self.waiting -= 1
        if not self.kept.done() and (not ok or not self.waiting):
            self.kept.set_result(ok)


class Firehose(PostedTo):
    """The endpoint.

    Raises:
        ConfigError: Unsafe or wrong settings.
    """

    def __init__(self, settings: FirehoseSettings, place: Place) -> None:
        refuse_unsafe(settings, settings.access_key_file)
        super().__init__(Endpoint(settings, _PATH, admit=self._admit, keep=self._keep, finish=self._finish))
        self._settings = settings
        self._place = place
        self._keys = Tokens(settings.access_key_file, place.warn)
        self._live: dict[_KEY, _Live] = {}
        self._done: OrderedDict[_KEY, None] = OrderedDict()
        self._waiting: deque[tuple[_Live, MessageDelivery]] = deque()
        self._wake = asyncio.Event()
        self._closing = False

    async def deliveries(self) -> AsyncIterator[MessageDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        while not self._closing:
            self._wake.clear()
            if not self._waiting:
                await self._wake.wait()
                continue
            live, delivery = self._waiting.popleft()
            if not live.kept.done():  # else a part before it was handed back: the sender sends all of it again
                yield delivery

    async def close(self) -> None:
        """See `Transport.close`: what requests still wait for is answered 503, so it is the sender's again."""
        self._closing = True
        self._endpoint.refuse_new()
        self._wake.set()
        for live in tuple(self._live.values()):
            live.settle(ok=False)
        self._live.clear()
        self._waiting.clear()
        await self._endpoint.close()

    def _admit(self, request: web.Request, source: str) -> web.Response | None:
        if not self._keys.accept(source, request.headers.get("X-Amz-Firehose-Access-Key", "")):
            return closing_response(401, "the access key is not one of this source")
        version = request.headers.get("X-Amz-Firehose-Protocol-Version", _VERSION)
        if version != _VERSION:
            return closing_response(400, f"protocol version {version} is unknown")
        return None

    async def _keep(self, request: web.Request, source: str, body: bytes) -> web.Response:
        """Hand the records on, and answer when the brokers have them."""
        header_id = request.headers.get(_ID_HEADER, "")
        limit = self._settings.max_inflated_request_bytes
        try:
            if len(body) > _THREAD_BYTES:
                found = await asyncio.to_thread(read_request, body, header_id, limit)
            else:
                found = read_request(body, header_id, limit)
        except MalformedBody as exc:
            self._place.warn(SourceRefused(f"collecting request: {exc.what}", where=f"{_PATH}/{source}/{header_id}"))
            return web.Response(status=413 if f"more than {limit} bytes" in exc.what else 400, text=exc.what)
        request[_ID] = found.id
        key = (source, found.digest)
        if key in self._done or not found.records:
            return web.Response(status=200)
        live = self._live.get(key) or self._taken_over(key, found)
        if live is None:
            return self._endpoint.busy()
        await asyncio.wait({live.kept}, timeout=self._settings.answer_within_s)
        return web.Response(status=200 if live.kept.done() and live.kept.result() else 503)

    def _taken_over(self, key: _KEY, found: Request) -> _Live | None:
        """The request as bodies on their way; None if there is no room for it."""
        size = sum(map(len, found.records))
        held = sum(live.size for live in self._live.values())
        if self._closing or (self._live and held + size > self._settings.max_in_flight_bytes):
            return None
        runs = cut_runs(found.records, self._settings.batch_messages, self._settings.batch_bytes)
        live = self._live[key] = _Live(len(runs), size)
        live.kept.add_done_callback(lambda kept: self._ended(key, live, ok=kept.result()))
        for run in runs:
            locator = f"{_PATH}/{key[0]}/{found.id}/{run.start}-{run.stop - 1}"
            self._waiting.append((live, self._delivery(key[0], locator, joined(found.records[run]), live)))
        self._wake.set()
        return live

    def _ended(self, key: _KEY, live: _Live, *, ok: bool) -> None:
        if self._live.get(key) is live:
            del self._live[key]
        if ok:
            self._done[key] = None
            while len(self._done) > self._settings.remembered_requests:
                self._done.popitem(last=False)

    def _delivery(self, source: str, locator: str, body: bytes, live: _Live) -> MessageDelivery:
        def given_up(reason: str) -> None:
            self._place.warn(SourceRefused(f"collecting record: given up: {reason}", where=locator))
            live.settle(ok=True)

        return MessageDelivery(
            Origin(transport=_NAME, locator=locator),
            body,
            self._place.clock(),
            on_settled=lambda: live.settle(ok=True),
            on_returned=lambda _delivery: live.settle(ok=False),
            on_given_up=given_up,
            source=source,
        )

    def _finish(self, request: web.Request, response: web.Response) -> None:
        """Give an answer the shape that Firehose asks for."""
        request_id = request[_ID] if _ID in request else request.headers.get(_ID_HEADER, "")
        status = response.status
        error = "" if status == web.HTTPOk.status_code else response.text or _WHY.get(status, "refused")
        response.body = answer_of(request_id, self._place.clock(), error)
        response.content_type = "application/json"
