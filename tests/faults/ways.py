"""Sources of AWS for the fault tests: a collector reads what is put there, through a cloud that answers badly."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
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

    def progress(self) -> tuple[int, int]:
        """Bodies that are acknowledged, and those that are not."""
        ...

    def trouble(self, proxy: Faulty) -> None:
        """Let the cloud throttle, fail and lose answers for a while."""
        ...


class AnnouncedObjects:
    """Objects of S3 and a queue; every third is announced twice."""

    transport = "s3_sqs"

    def __init__(self, aws: Aws, _checkpoint: Path) -> None:
        self._aws = aws
        self._queue = aws.queue("files", receptions=50)
        aws.bucket(BUCKET)
        aws.announce(BUCKET, queue="files")
        aws.client("sqs").purge_queue(QueueUrl=self._queue)  # of S3's test event
        self._announced = 0

    def settings(self, endpoint: str) -> dict[str, Any]:
        return {"queue_url": self._queue, "region": REGION, "endpoint_url": endpoint, "visibility_s": 5, "wait_s": 1}

    def put(self, number: int, records: Sequence[bytes]) -> None:
        key = f"AWSLogs/{number:05}.json.gz"
        self._aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=log_file(records))
        self._announced += 1
        if number % 3 == 0:
            self._announced += 1
            again = json.dumps({"s3Bucket": BUCKET, "s3ObjectKey": [key]})
            self._aws.client("sqs").send_message(QueueUrl=self._queue, MessageBody=again)

    def progress(self) -> tuple[int, int]:
        left = sum(self._aws.counts(self._queue))
        return self._announced - left, left

    def trouble(self, proxy: Faulty) -> None:
        proxy.faults += [
            Fault("ReceiveMessage", 1),
            Fault("GET /trail", 4, 503, "SlowDown"),
            Fault("GET /trail", 2, 400, "ExpiredToken"),
            Fault("DeleteMessageBatch", 1, kind="applied"),
            Fault("DeleteMessageBatch", 1, 400, "ThrottlingException"),
            Fault("ChangeMessageVisibilityBatch", 1),
        ]


class Stream:
    """A Kinesis stream with two shards; its records are files of CloudTrail, as gzip."""

    transport = "kinesis"

    def __init__(self, aws: Aws, checkpoint: Path) -> None:
        self._client = aws.client("kinesis")
        self._checkpoint = checkpoint
        self._client.create_stream(StreamName="trail", ShardCount=2)
        self._put: list[tuple[str, int]] = []

    def settings(self, endpoint: str) -> dict[str, Any]:
        return {"stream": "trail", "region": REGION, "endpoint_url": endpoint, "poll_interval_s": 0.2}

    def put(self, number: int, records: Sequence[bytes]) -> None:
        for _ in range(2 if number % 3 == 0 else 1):
            put = self._client.put_record(StreamName="trail", Data=log_file(records), PartitionKey=f"key-{number}")
            self._put.append((put["ShardId"], int(put["SequenceNumber"])))

    def progress(self) -> tuple[int, int]:
        try:
            marks = json.loads(self._checkpoint.read_bytes())["shards"]
        except FileNotFoundError:
            marks = {}
        reached = {shard: int(mark["sequence"] or 0) for shard, mark in marks.items()}
        left = sum(number > reached.get(shard, 0) for shard, number in self._put)
        return len(self._put) - left, left

    def trouble(self, proxy: Faulty) -> None:
        proxy.faults += [
            Fault("GetRecords", 2, 400, "ProvisionedThroughputExceededException"),
            Fault("GetRecords", 1, 400, "ExpiredIteratorException"),
            Fault("GetRecords", 1, kind="applied"),
            Fault("GetShardIterator", 1),
            Fault("ListShards", 1, 400, "LimitExceededException"),
        ]


def log_file(records: Sequence[bytes]) -> bytes:
    """As CloudTrail writes it."""
    return gzip.compress(b'{"Records":[' + b",".join(records) + b"]}", 1)
