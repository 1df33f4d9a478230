"""More sources of AWS for the fault tests: a bucket that is listed, and Firehose that delivers to an endpoint."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import json
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.faults.material import CLOUDTRAIL, cloudtrail
from tests.faults.posting import Poster, Request
from tests.faults.ways import log_file
from tests.ingest.transports.aws.faulty import Fault, Faulty, faulty
from tests.ingest.transports.aws.servers import REGION, Aws

BUCKET = "trail"


def trail(rng: random.Random, count: int) -> dict[str, bytes]:
    """Records of CloudTrail by their ids; about one in twenty matches a rule."""
    return {json.loads(record)["eventID"]: record for record in cloudtrail(rng, count, dt.datetime.now(dt.UTC))}


class ListedObjectsWay:
    """Objects of S3 that nobody announces."""

    transport = "s3_listing"
    format = CLOUDTRAIL

    def __init__(self, aws: Aws, proxy: Faulty) -> None:
        self._aws = aws
        self.proxy = proxy
        self._checkpoint: Path | None = None
        aws.bucket(BUCKET)

    def records(self, rng: random.Random, count: int) -> dict[str, bytes]:
        return trail(rng, count)

    def settings(self, directory: Path) -> dict[str, Any]:
        self._checkpoint = directory / "checkpoints" / f"source-{self.transport}.json"
        return {"bucket": BUCKET, "prefix": "AWSLogs/", "region": REGION, "endpoint_url": self.proxy.endpoint}

    async def put(self, number: int, records: Sequence[bytes]) -> None:
        put = self._aws.client("s3").put_object
        await asyncio.to_thread(put, Bucket=BUCKET, Key=f"AWSLogs/{number:05}.json.gz", Body=log_file(records))

    def done(self) -> int:
        try:
            current = json.loads((self._checkpoint or Path("none")).read_bytes())["current"]
        except FileNotFoundError:
            return 0
        return int(current["after"][-13:-8]) + 1 if current and current["after"] else 0

    def unreadable(self, number: int) -> Fault:
        return Fault(f"GET /{BUCKET}/AWSLogs/{number:05}.json.gz", 0, 503, "SlowDown")

    def trouble(self) -> None:
        self.proxy.faults += [
            Fault("list-type=2", 1, 503, "SlowDown"),
            Fault("list-type=2", 1, kind="applied"),
            Fault(f"GET /{BUCKET}/AWSLogs/", 4, 503, "SlowDown"),
            Fault(f"GET /{BUCKET}/AWSLogs/", 1, 400, "ExpiredToken"),
            Fault(f"GET /{BUCKET}/AWSLogs/", 2, kind="applied"),
        ]


@contextlib.asynccontextmanager
async def s3_listing(aws: Aws) -> AsyncIterator[ListedObjectsWay]:
    """A bucket of moto."""
    with faulty(aws.endpoint) as proxy:
        yield ListedObjectsWay(aws, proxy)


def _delivered(records: Sequence[bytes], number: str) -> Request:
    """As Firehose writes it.

    https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html
    """
    data = [{"data": base64.b64encode(record + b"\n").decode()} for record in records]
    body = {"requestId": number, "timestamp": 1_795_334_400_000, "records": data}
    headers = {
        "X-Amz-Firehose-Protocol-Version": "1.0",
        "X-Amz-Firehose-Request-Id": number,
        "X-Amz-Firehose-Access-Key": KEY,
    }
    return Request("/firehose/logs", json.dumps(body).encode(), headers)


KEY = "0123456789abcdef-key"


@contextlib.asynccontextmanager
async def firehose(directory: Path) -> AsyncIterator[Poster]:
    """A delivery stream that sends again what is not answered 200."""
    (directory / "access-keys").write_text(f"logs {KEY}\n")
    settings = {"access_key_file": str(directory / "access-keys"), "answer_within_s": 5.0}
    async with Poster("firehose", CLOUDTRAIL, trail, _delivered, settings, directory).sending() as poster:
        yield poster
