"""What doubles of HTTP services share: a server on loopback whose next answers can be broken on purpose."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Answer:
    """What a double answers, after `late_s`; `cut`: the connection ends before anything is said."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    late_s: float = 0.0


CUT = Answer(0, cut=True)


@dataclass(frozen=True, slots=True)
class Request:
    """What a double was asked; names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Double:
    """A service on loopback.

    Attributes:
        faults: Answers that take the place of the next ones, in order; None: the service itself answers.
        always: An answer that takes the place of all, while it is set.
        asked: Method and path of every request, as it came.
    """

    faults: list[Answer | None] = field(default_factory=list)
    always: Answer | None = None
    asked: list[str] = field(default_factory=list)
    address: str = ""
    token_path: ClassVar[str] = "/token?"

    def answer(self, request: Request) -> Answer:
        """What the service itself says."""
        raise NotImplementedError

    def broken_or(self, request: Request) -> Answer:
        """A fault that was asked for, else what the service says. Tokens come in any case."""
        if request.path.startswith(self.token_path):
            return self.answer(request)
        self.asked.append(f"{request.method} {request.path}")
        if self.always is not None:
            return self.always
        fault = self.faults.pop(0) if self.faults else None
        return self.answer(request) if fault is None else fault

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the end of the block."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _handler_of(double: Double) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = double.broken_or(Request(self.command, self.path, headers, body))
            time.sleep(answer.late_s)
            if answer.cut:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body or {}).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
