"""Senders that post to endpoints: signed requests of anybody, and the audit webhook of an API server."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.faults.aws_ways import trail
from tests.faults.material import AUDIT, CLOUDTRAIL, audit
from tests.faults.posting import Poster, Request

_KEY = b"0123456789abcdef-key-of-the-shop"
_TOKEN = "0123456789abcdef-token"
SPOOL_AFTER_S = 0.5


def cluster_audit(rng: random.Random, count: int) -> dict[str, bytes]:
    """Audit events by their ids, which end with the hash of their bytes; about one in twenty matches a rule."""
    records = audit(rng, count, dt.datetime.now(dt.UTC))
    return {_uid(record): record for record in records}


def _uid(record: bytes) -> str:
    event = json.loads(record)
    return f"{event['auditID']}:{event['stage']}:{hashlib.sha256(bytes(1) + record).hexdigest()}"  # RFC 6962 §2.1


def _signed(records: Sequence[bytes], name: str) -> Request:
    """As https://www.standardwebhooks.com has it: attempts keep the id, and each is signed anew with its own time."""
    body = b'{"Records":[' + b",".join(records) + b"]}"
    stamp = str(int(time.time()))
    proof = hmac.digest(_KEY, f"{name}.{stamp}.".encode() + body, hashlib.sha256)
    headers = {
        "webhook-id": name,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(proof).decode(),
    }
    return Request("/webhook/shop", body, headers)


def _batch(records: Sequence[bytes], _name: str) -> Request:
    """As an API server posts it: the same bytes at each attempt.

    https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#webhook-backend
    """
    body = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[' + b",".join(records) + b"]}\n"
    return Request(
        "/k8s/prod?timeout=30s", body, {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json"}
    )


@contextlib.asynccontextmanager
async def signed_webhook(directory: Path) -> AsyncIterator[Poster]:
    """A shop that signs each attempt anew and repeats what is not answered 200."""
    file = directory / "webhook.secrets"
    file.write_text(f"shop {base64.b64encode(_KEY).decode()}\n")
    settings = {
        "secret_file": str(file),
        "secret_encoding": "base64",
        "signed": "{id}.{timestamp}.{body}",
        "id_header": "webhook-id",
        "timestamp_header": "webhook-timestamp",
        "signature_header": "webhook-signature",
        "signature_prefix": "v1,",
        "signature_encoding": "base64",
        "answer_within_s": 5.0,
    }
    async with Poster("signed_webhook", CLOUDTRAIL, trail, _signed, settings, directory).sending() as poster:
        yield poster


@contextlib.asynccontextmanager
async def kubernetes_webhook(directory: Path) -> AsyncIterator[Poster]:
    """An API server that repeats batches which nobody answered."""
    file = directory / "webhook.tokens"
    file.write_text(f"prod {_TOKEN}\n")
    settings = {"token_file": str(file), "spool_after_s": SPOOL_AFTER_S}
    async with Poster("kubernetes_webhook", AUDIT, cluster_audit, _batch, settings, directory).sending() as poster:
        yield poster
