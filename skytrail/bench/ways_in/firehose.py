"""The endpoint for Firehose, beside a bare aiohttp server that compares the key, decodes the records and answers."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from aiohttp import web

from ingest.transports.contract import Place
from ingest.transports.firehose.settings import FirehoseSettings
from ingest.transports.firehose.transport import Firehose, open_transport
from skytrail.bench.collecting import Load
from skytrail.bench.posted import SECRET, Manner, Posted, posted

_KEY = "X-Amz-Firehose-Access-Key"


def opened(load: Load) -> AbstractAsyncContextManager[Posted]:
    """A request per body, with a record for each line."""
    return posted(Manner("/firehose", _listening, _bare, {_KEY: SECRET}), _requests(load), load.size)


def _requests(load: Load) -> Iterator[bytes]:
    for number, body in enumerate(load.bodies()):
        records = [{"data": base64.b64encode(line).decode()} for line in body.splitlines(keepends=True)]
        yield json.dumps({"requestId": f"bench-{number}", "timestamp": 0, "records": records}).encode()


async def _listening(secrets: Path, place: Place) -> Firehose:
    return await open_transport(FirehoseSettings(port=0, allow_plain_http=True, access_key_file=secrets), place)


def _bare(request: web.Request, body: bytes) -> tuple[int, web.Response]:
    if not hmac.compare_digest(request.headers.get(_KEY, "").encode(), SECRET.encode()):
        return 0, web.Response(status=401)
    found = json.loads(body)
    brought = sum(len(base64.b64decode(record["data"])) for record in found["records"])
    return brought, web.json_response({"requestId": found["requestId"], "timestamp": int(time.time() * 1000)})
