"""Sources of AWS for the fault tests: a collector reads what is put there, through a cloud that answers badly."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any, Protocol

from tests.ingest.transports.aws.faulty import Fault, Faulty
from tests.ingest.transports.aws.servers import REGION, Aws

BUCKET = "trail"


class Way(Protocol):
    """A transport and its source.

    Attributes:
        transport: Its name.
    """

    transport: str

    def settings(self, endpoint: str) -> dict[str, Any]:
        """Settings of the transport."""
        ...

    def put(self, number: int, records: Sequence[bytes]) -> None:
        """Put a body of CloudTrail records; `number` is different for each."""
        ...

    def left(self) -> int:
        """Bodies that are not acknowledged."""
        ...

    def trouble(self, proxy: Faulty) -> None:
        """Let the cloud throttle, fail and lose answers for a while."""
        ...


class AnnouncedObjects:
    """Objects of S3 and a queue; every third is announced twice."""

    transport = "s3_sqs"

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._queue = aws.queue("files", receptions=50)
        aws.bucket(BUCKET)
        aws.announce(BUCKET, queue="files")

    def settings(self, endpoint: str) -> dict[str, Any]:
        return {"queue_url": self._queue, "region": REGION, "endpoint_url": endpoint, "visibility_s": 5, "wait_s": 1}

    def put(self, number: int, records: Sequence[bytes]) -> None:
        key = f"AWSLogs/{number:05}.json.gz"
        self._aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=log_file(records))
        if number % 3 == 0:
            again = json.dumps({"s3Bucket": BUCKET, "s3ObjectKey": [key]})
            self._aws.client("sqs").send_message(QueueUrl=self._queue, MessageBody=again)

    def left(self) -> int:
        return sum(self._aws.counts(self._queue))

    def trouble(self, proxy: Faulty) -> None:
        proxy.faults += [
            Fault("ReceiveMessage", 1),
            Fault("GET /trail", 4, 503, "SlowDown"),
            Fault("GET /trail", 2, 400, "ExpiredToken"),
            Fault("DeleteMessageBatch", 1, kind="applied"),
            Fault("DeleteMessageBatch", 1, 400, "ThrottlingException"),
            Fault("ChangeMessageVisibilityBatch", 1),
        ]


def log_file(records: Sequence[bytes]) -> bytes:
    """As CloudTrail writes it."""
    return gzip.compress(b'{"Records":[' + b",".join(records) + b"]}", 1)
