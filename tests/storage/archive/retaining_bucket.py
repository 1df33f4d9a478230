"""A bucket with versions, retentions that are enforced and holds, as Google documents them; no local server has these.

It answers as much of the JSON API as the store speaks, and what it was told to get wrong it gets wrong. That the real
service does the same is not proven by it.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

Wrong = Literal["", "drops retentions", "deletes locked objects", "shortens locks", "keeps no versions"]
_KEPT = (403, "retentionPolicyNotMet")


@dataclass(slots=True)
class Generation:
    """One generation of an object."""

    name: str
    body: bytes
    number: int
    live: bool = True
    retention: dict[str, str] = field(default_factory=dict)
    held: bool = False

    @property
    def until(self) -> dt.datetime | None:
        return dt.datetime.fromisoformat(self.retention["retainUntilTime"]) if self.retention else None

    @property
    def locked(self) -> bool:
        return self.held or (self.until is not None and self.until > dt.datetime.now(dt.UTC))

    def told(self) -> dict[str, Any]:
        checksum = base64.b64encode(google_crc32c.value(self.body).to_bytes(4, "big")).decode()
        told = {"kind": "storage#object", "name": self.name, "generation": str(self.number), "crc32c": checksum}
        return {**told, "temporaryHold": self.held, **({"retention": self.retention} if self.retention else {})}


@dataclass
class RetainingBucket:
    """What the server keeps.

    Attributes:
        wrong: What it gets wrong.
        address: http://host:port of it.
    """

    wrong: Wrong = ""
    address: str = ""
    generations: list[Generation] = field(default_factory=list)

    def client(self) -> Any:
        return storage.Client(
            project="acme-test",
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": self.address},
        )

    def found(self, name: str, number: str = "") -> Generation | None:
        for each in self.generations:
            if each.name == name and (str(each.number) == number if number else each.live):
                return each
        return None

    def write(self, told: dict[str, Any], body: bytes, expected: str) -> Generation | None:
        before = self.found(told["name"])
        if expected != str(before.number if before else 0):
            return None
        if before:
            before.live = False
        kept = {} if self.wrong == "drops retentions" else told.get("retention", {})
        one = Generation(told["name"], body, 1001 + len(self.generations), retention=kept)
        self.generations.append(one)
        return one

    def change(self, one: Generation, told: dict[str, Any]) -> bool:
        one.held = told.get("temporaryHold", one.held)
        if "retention" in told:
            until = dt.datetime.fromisoformat(told["retention"]["retainUntilTime"])
            if self.wrong != "shortens locks" and one.until is not None and until < one.until:
                return False
            one.retention = told["retention"]
        return True

    def delete(self, one: Generation, number: str) -> bool:
        if not number and self.wrong != "keeps no versions":
            one.live = False
        elif one.locked and self.wrong != "deletes locked objects":
            return False
        else:
            self.generations.remove(one)
        return True


class Handler(BaseHTTPRequestHandler):
    """The JSON API of Cloud Storage."""

    bucket: RetainingBucket
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def tell(self, told: dict[str, Any]) -> None:
        self.answer(200, json.dumps(told).encode())

    def refuse(self, status: int, reason: str) -> None:
        errors = [{"reason": reason, "message": reason}]
        self.answer(status, json.dumps({"error": {"code": status, "message": reason, "errors": errors}}).encode())

    def asked(self) -> tuple[Generation | None, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        name = unquote(parts.path.partition("/o/")[2])
        return self.bucket.found(name, query.get("generation", "")), query

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self) -> None:
        _, query = self.asked()
        mark = b"--" + self.headers["Content-Type"].partition("boundary=")[2].strip('"').encode()
        _, told, sent = (part.partition(b"\r\n\r\n")[2] for part in self.body().split(mark)[:3])
        made = self.bucket.write(json.loads(told), sent.removesuffix(b"\r\n"), query["ifGenerationMatch"])
        return self.refuse(412, "conditionNotMet") if made is None else self.tell(made.told())

    def do_GET(self) -> None:
        one, query = self.asked()
        if "/o/" in self.path:
            if one is None:
                return self.refuse(404, "notFound")
            return self.answer(200, one.body) if query.get("alt") == "media" else self.tell(one.told())
        every = [each for each in self.bucket.generations if each.live or query.get("versions", "").lower() == "true"]
        found = [each.told() for each in every if each.name.startswith(query.get("prefix", ""))]
        return self.tell({"kind": "storage#objects", "items": found})

    def do_PATCH(self) -> None:
        one, _ = self.asked()
        told = json.loads(self.body())
        if one is None:
            return self.refuse(404, "notFound")
        return self.tell(one.told()) if self.bucket.change(one, told) else self.refuse(*_KEPT)

    def do_DELETE(self) -> None:
        one, query = self.asked()
        if one is None:
            return self.refuse(404, "notFound")
        return self.tell({}) if self.bucket.delete(one, query.get("generation", "")) else self.refuse(*_KEPT)


@contextlib.contextmanager
def running_bucket(wrong: Wrong = "") -> Iterator[RetainingBucket]:
    """A server with one bucket, whatever it is called."""
    bucket = RetainingBucket(wrong)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Serving", (Handler,), {"bucket": bucket}))
    server.daemon_threads = True
    server.block_on_close = False
    bucket.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
