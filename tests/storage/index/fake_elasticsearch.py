"""A small Elasticsearch over real HTTP that keeps documents in a dict and breaks on request."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from storage.settings import ElasticsearchSettings, Login

Fault = Literal["lost", "applied"] | int | tuple[int, str]
"""What happens to one bulk request: the connection ends before or after it is applied, or a status (and error type)."""

HEADERS = {"X-Elastic-Product": "Elasticsearch"}
REASONS = {
    400: "document_parsing_exception",
    403: "security_exception",
    404: "index_not_found_exception",
    409: "version_conflict_engine_exception",
    413: "content_too_long_exception",
    429: "es_rejected_execution_exception",
    503: "unavailable_shards_exception",
}


@dataclass
class FakeElasticsearch:
    """The server's side of the index writer's contract.

    `faults` apply to bulk requests in turn; `told` gives the answers for single documents in turn; `refuse` holds what
    a body may not contain; a request above `max_bytes` is answered 413.
    """

    faults: deque[Fault] = field(default_factory=deque)
    told: dict[str, deque[Fault]] = field(default_factory=dict)
    refuse: bytes = b"\x00never"
    max_bytes: int = 100 * 1024 * 1024
    documents: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    requests: list[list[str]] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    delay_s: float = 0.0
    url: str = ""
    broken: str = ""
    versions: dict[tuple[str, str], int] = field(default_factory=dict)
    meanwhile: deque[dict[str, Any]] = field(default_factory=deque)
    """What somebody else writes just before each update of a single document."""

    async def bulk(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.queries.append(dict(request.query))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.delay_s)
            return self._bulk(request, body)
        finally:
            self.running -= 1

    def _bulk(self, request: web.Request, body: bytes) -> web.StreamResponse:
        lines = body.split(b"\n")[:-1]
        pairs = [(json.loads(lines[i]), lines[i + 1]) for i in range(0, len(lines), 2)]
        self.requests.append([next(iter(action.values()))["_id"] for action, _ in pairs])
        if len(body) > self.max_bytes:
            return _refusal(413)
        fault = self.faults.popleft() if self.faults else None
        if fault == "lost":
            return _cut(request)
        if isinstance(fault, int):
            return _refusal(fault)
        if isinstance(fault, tuple):
            return _refusal(*fault)
        items = [self._apply(action, source) for action, source in pairs]
        if fault == "applied":
            return _cut(request)
        errors = any("error" in next(iter(item.values())) for item in items)
        return web.json_response({"errors": errors, "items": items}, headers=HEADERS)

    def _apply(self, action: dict[str, Any], source: bytes) -> dict[str, Any]:
        operation, meta = next(iter(action.items()))
        key = (meta["_index"], meta["_id"])
        told = self.told.get(meta["_id"])
        if told:
            fault = told.popleft()
            if fault == "applied":
                self.documents[key] = json.loads(source)
                return {operation: _error(503)}
            status, kind = fault if isinstance(fault, tuple) else (int(fault), "")
            return {operation: _error(status, kind)}
        if self.refuse in source:
            return {operation: _error(400)}
        if operation == "create" and key in self.documents:
            return {operation: _error(409)}
        if operation == "update":
            change = json.loads(source)
            self.documents[key] = change["doc"] if key in self.documents else change["upsert"]
        else:
            self.documents[key] = json.loads(source)
        return {operation: {"status": 201}}

    async def get(self, request: web.Request) -> web.Response:
        key = (request.match_info["index"], request.match_info["id"])
        if key[1] == self.broken:
            return _refusal(503)
        if key not in self.documents:
            return web.json_response({"_id": key[1], "found": False}, status=404, headers=HEADERS)
        found = {"_source": self.documents[key], "_seq_no": self.versions.get(key, 0), "_primary_term": 1}
        return web.json_response({"_index": key[0], "_id": key[1], "found": True, **found}, headers=HEADERS)

    async def update(self, request: web.Request) -> web.Response:
        key = (request.match_info["index"], request.match_info["id"])
        if self.meanwhile:
            merge(self.documents[key], self.meanwhile.popleft())
            self.versions[key] = self.versions.get(key, 0) + 1
        if int(request.query["if_seq_no"]) != self.versions.get(key, 0):
            return _refusal(409)
        merge(self.documents[key], (await request.json())["doc"])
        self.versions[key] = self.versions.get(key, 0) + 1
        return web.json_response({"result": "updated"}, headers=HEADERS)

    async def search(self, request: web.Request) -> web.Response:
        """Only by id."""
        wanted = (await request.json())["query"]["ids"]["values"]
        found = [key for key in self.documents if key[1] in wanted and key[0].startswith("logs-")]
        hits = [{"_index": index, "_id": id_, "_source": self.documents[index, id_]} for index, id_ in found]
        return web.json_response({"hits": {"hits": hits}}, headers=HEADERS)

    async def refresh(self, _: web.Request) -> web.Response:
        return web.json_response({"_shards": {"failed": 0}}, headers=HEADERS)

    async def nodes(self, _: web.Request) -> web.Response:
        return web.json_response({"nodes": {"a": {"version": "8.10.4", "name": "old"}}}, headers=HEADERS)


def merge(document: dict[str, Any], part: dict[str, Any]) -> None:
    """What a partial update does to a document."""
    for name, value in part.items():
        if isinstance(value, dict) and isinstance(document.get(name), dict):
            merge(document[name], value)
        else:
            document[name] = value


def _error(status: int, kind: str = "") -> dict[str, Any]:
    return {"status": status, "error": {"type": kind or REASONS.get(status, "some_exception"), "reason": "told so"}}


def _refusal(status: int, kind: str = "") -> web.Response:
    return web.json_response(_error(status, kind), status=status, headers=HEADERS)


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def serving(fake: FakeElasticsearch) -> AsyncIterator[ElasticsearchSettings]:
    """The fake on a free port, and settings that point to it."""
    app = web.Application(client_max_size=200 * 1024 * 1024)
    app.router.add_post("/_bulk", fake.bulk)
    app.router.add_post("/{index}/_search", fake.search)
    app.router.add_post("/{index}/_refresh", fake.refresh)
    app.router.add_get("/{index}/_doc/{id}", fake.get)
    app.router.add_post("/{index}/_update/{id}", fake.update)
    app.router.add_get("/_nodes/{_:.*}", fake.nodes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    login = Login(username="indexer", password="secret")
    try:
        yield ElasticsearchSettings(
            url=f"http://{host}:{port}", indexer=login, alerter=login, reader=login, analyst=login
        )
    finally:
        await runner.cleanup()


@contextmanager
def served_beside(fake: FakeElasticsearch) -> Iterator[None]:
    """The fake in a thread of its own, at `fake.url`, for commands that run a loop of their own."""
    ready, done = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving(fake) as settings:
            fake.url = settings.url
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()
