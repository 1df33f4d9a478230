"""The promises of every transport, on moto."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ingest.transports.aws.servers import Aws
from tests.ingest.transports.contract import TransportContract
from tests.ingest.transports.s3_sqs.source import Source


class TestS3Sqs(TransportContract):
    @pytest.fixture
    def harness(self, aws: Aws, tmp_path: Path) -> Source:
        return Source.made(aws, tmp_path)


class TestS3SqsWithAFifoQueue(TransportContract):
    """S3 can't announce to a FIFO queue itself; a topic or a bus can."""

    @pytest.fixture
    def harness(self, aws: Aws, tmp_path: Path) -> Source:
        return FifoSource.made_fifo(aws, tmp_path)


class FifoSource(Source):
    @classmethod
    def made_fifo(cls, aws: Aws, directory: Path) -> Source:
        url = aws.queue("files.fifo", ContentBasedDeduplication="true")
        aws.bucket("trail")
        return cls(aws, directory, url)

    def put(self, key: str, body: bytes) -> dict[str, object]:
        answer = super().put(key, body)
        self.post(f'{{"s3Bucket":"trail","s3ObjectKey":["{key}"]}}', MessageGroupId="trail")
        return answer
