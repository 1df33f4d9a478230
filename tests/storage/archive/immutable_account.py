"""A storage account with versions and version-level immutability, as Microsoft documents them; Azurite has neither.

It answers as much of the protocol as the store and the verifier speak, and what it was told to get wrong it gets wrong.
That the real service does the same is not proven by it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from azure.storage.blob import ContainerClient

from tests.azurite import ACCOUNT, KEY

Wrong = Literal["", "drops policies", "deletes locked versions", "shortens locks", "keeps no versions"]
_KEPT = (409, "BlobImmutableDueToPolicy")


@dataclass(slots=True)
class Version:
    """One version of a blob."""

    name: str
    body: bytes
    number: int
    current: bool = True
    mode: str = ""
    until: dt.datetime | None = None
    held: bool = False

    @property
    def id(self) -> str:
        return f"2026-11-28T00:00:00.{self.number:07d}Z"

    @property
    def locked(self) -> bool:
        return self.held or (self.until is not None and self.until > dt.datetime.now(dt.UTC))

    @property
    def headers(self) -> dict[str, str]:
        told = {
            "ETag": f'"0x{self.number:X}"',
            "Last-Modified": "Sat, 28 Nov 2026 00:00:00 GMT",
            "x-ms-blob-type": "BlockBlob",
            "x-ms-version-id": self.id,
            "x-ms-legal-hold": str(self.held).lower(),
        }
        if self.until is not None:
            told["x-ms-immutability-policy-until-date"] = format_datetime(self.until, usegmt=True)
            told["x-ms-immutability-policy-mode"] = self.mode
        return told


@dataclass
class Account:
    """What the server keeps.

    Attributes:
        wrong: What it gets wrong.
        address: http://host:port of it.
    """

    wrong: Wrong = ""
    address: str = ""
    versions: list[Version] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.address}/{ACCOUNT}/sealed"

    @property
    def connection_string(self) -> str:
        parts = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.address}/{ACCOUNT};"
        return f"DefaultEndpointsProtocol=http;{parts}"

    def client(self) -> ContainerClient:
        return ContainerClient.from_container_url(self.url, retry_total=0)

    def found(self, name: str, version: str = "") -> Version | None:
        for each in self.versions:
            if each.name == name and (each.id == version if version else each.current):
                return each
        return None

    def policy(self, one: Version, headers: Any) -> bool:
        """Take a policy over; whether it may be."""
        given = headers.get("x-ms-immutability-policy-until-date")
        if given is None or self.wrong == "drops policies":
            return True
        until = parsedate_to_datetime(given)
        shorter = one.mode.lower() == "locked" and one.until is not None and until < one.until
        if shorter and self.wrong != "shortens locks":
            return False
        one.until, one.mode = until, headers.get("x-ms-immutability-policy-mode") or "Unlocked"
        return True

    def write(self, name: str, body: bytes, headers: Any) -> tuple[int, str] | Version:
        before = self.found(name)
        if headers.get("If-None-Match") == "*" and before:
            return 409, "BlobAlreadyExists"
        if "If-Match" in headers and (before is None or before.headers["ETag"] != headers["If-Match"]):
            return 412, "ConditionNotMet"
        if before:
            before.current = False
        one = Version(name, body, 1 + len(self.versions))
        self.policy(one, headers)
        self.versions.append(one)
        return one

    def delete(self, one: Version, version: str) -> tuple[int, str] | None:
        if version and one.current:
            return 403, "OperationNotAllowedOnRootBlob"
        if not version and self.wrong != "keeps no versions":
            one.current = False
        elif one.locked and self.wrong != "deletes locked versions":
            return _KEPT
        else:
            one.name = ""
        return None


class Handler(BaseHTTPRequestHandler):
    """The protocol of Blob Storage."""

    account: Account
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        body = (
            b"" if self.command == "HEAD" else f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        )
        self.answer(status, {"x-ms-error-code": code, "Content-Type": "application/xml"}, body)

    def asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return unquote(parts.path).removeprefix(f"/{ACCOUNT}/sealed").lstrip("/"), query

    def do_PUT(self) -> None:
        name, query = self.asked()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "comp" not in query:
            made = self.account.write(name, body, self.headers)
            return self.answer(201, made.headers) if isinstance(made, Version) else self.refuse(*made)
        one = self.account.found(name, query.get("versionid", ""))
        if one is None:
            return self.refuse(404, "BlobNotFound")
        if query["comp"] == "legalhold":
            one.held = self.headers["x-ms-legal-hold"].lower() == "true"
        elif not self.account.policy(one, self.headers):
            return self.refuse(*_KEPT)
        return self.answer(200, one.headers)

    def do_GET(self) -> None:
        name, query = self.asked()
        if query.get("comp") == "list":
            return self.answer(200, {"Content-Type": "application/xml"}, self.listing(query).encode())
        if query.get("restype") == "container":
            told = {"ETag": '"0x1"', "Last-Modified": "Sat, 28 Nov 2026 00:00:00 GMT"}
            return self.answer(200, {**told, "x-ms-immutable-storage-with-versioning-enabled": "true"})
        one = self.account.found(name, query.get("versionid", ""))
        if one is None:
            return self.refuse(404, "BlobNotFound")
        if self.command == "HEAD":
            return self.answer(200, {**one.headers, "x-ms-blob-content-length": str(len(one.body))})
        size = len(one.body)
        return self.answer(206, {**one.headers, "Content-Range": f"bytes 0-{size - 1}/{size}"}, one.body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        name, query = self.asked()
        one = self.account.found(name, query.get("versionid", ""))
        refused = (404, "BlobNotFound") if one is None else self.account.delete(one, query.get("versionid", ""))
        if refused:
            return self.refuse(*refused)
        return self.answer(202, {})

    def listing(self, query: dict[str, str]) -> str:
        every = "versions" in query.get("include", "")
        start, mark, blobs, folders = query.get("prefix", ""), query.get("delimiter"), "", set()
        for one in sorted(self.account.versions, key=lambda each: each.name):
            if not one.name.startswith(start) or not (one.current or every) or not one.name:
                continue
            head, found, _ = one.name[len(start) :].partition(mark) if mark else ("", "", "")
            if found:
                folders.add(start + head + found)
                continue
            held = f"<LegalHold>{str(one.held).lower()}</LegalHold>"
            blobs += f"<Blob><Name>{escape(one.name)}</Name><VersionId>{one.id}</VersionId>"
            blobs += "<Properties><BlobType>BlockBlob</BlobType>"
            blobs += f"<Content-Length>{len(one.body)}</Content-Length>{held}</Properties></Blob>"
        blobs += "".join(f"<BlobPrefix><Name>{each}</Name></BlobPrefix>" for each in sorted(folders))
        return f'<?xml version="1.0"?><EnumerationResults><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>'


@contextlib.contextmanager
def running_account(wrong: Wrong = "") -> Iterator[Account]:
    """An account with one container."""
    account = Account(wrong)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Serving", (Handler,), {"account": account}))
    account.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield account
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
