"""A proxy before a cloud on this machine that answers some requests with faults.

A fault is `lost` (the cloud never heard of the request) or `applied` (it did what was asked, the answer is lost).
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "server", "date"}


@dataclass
class Fault:
    """What to answer instead.

    Attributes:
        asks: Text that the request's line or target must hold.
        times: How many requests of this kind are answered so.
        code: AWS's code of the error.
        body: The answer's body; empty is made of code and message.
    """

    asks: str
    times: int
    status: int = 500
    code: str = "InternalError"
    message: str = "injected"
    kind: Literal["lost", "applied"] = "lost"
    body: bytes = b""


@dataclass
class Faulty:
    """The proxy.

    Attributes:
        endpoint: Its address.
        faults: Those to come; the first that fits answers.
        seen: What was asked, in order.
    """

    behind: str
    endpoint: str = ""
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault_of(self, asked: str) -> Fault | None:
        with self.lock:
            self.seen.append(asked)
            for fault in self.faults:
                if fault.times and fault.asks in asked:
                    fault.times -= 1
                    return fault
        return None

    def asked(self, text: str) -> int:
        """How many requests held this text."""
        with self.lock:
            return sum(text in each for each in self.seen)


@contextmanager
def faulty(behind: str) -> Iterator[Faulty]:
    """A proxy before the cloud at an address."""
    proxy = Faulty(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            target = self.headers.get("X-Amz-Target", "")
            key = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
            asked = f"{self.command} {self.path} {target} {self.headers.get('Range', '')} as {key}"
            fault = proxy.fault_of(asked)
            if fault is None or fault.kind == "applied":
                status, headers, content = self._forward(body)
            if fault is not None:
                status, headers, content = fault.status, *_told(fault, as_json=bool(target))
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(urlsplit(behind).netloc, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection.request(self.command, self.path, body, {**headers, "Host": urlsplit(behind).netloc})
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            return answer.status, answer.getheaders(), content

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815 - names of the library

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _told(fault: Fault, *, as_json: bool) -> tuple[list[tuple[str, str]], bytes]:
    if fault.body:
        return [("Content-Type", "application/x-amz-json-1.0")], fault.body
    if as_json:
        body = f'{{"__type":"com.amazonaws#{fault.code}","message":"{fault.message}"}}'
        return [("Content-Type", "application/x-amz-json-1.0")], body.encode()
    body = f"<Error><Code>{fault.code}</Code><Message>{fault.message}</Message></Error>"
    return [("Content-Type", "application/xml")], body.encode()
