"""A bucket and a queue that announces its objects, and the transport on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.backoff import Backoff
from ingest.transports.aws.patience import Patience
from ingest.transports.contract import Delivery
from ingest.transports.s3_sqs.settings import S3SqsSettings
from ingest.transports.s3_sqs.transport import S3Sqs, open_transport
from tests.ingest.fakes import Told, until
from tests.ingest.transports.aws.servers import REGION, Aws

BUCKET = "trail"


@dataclass
class Source:
    """Where objects are put, and what a transport says of them.

    Attributes:
        endpoint: Where the transport finds the cloud; that of `aws` unless a proxy lies between.
        settings: What differs from the settings of most tests.
    """

    aws: Aws
    directory: Path
    queue_url: str = ""
    endpoint: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    told: Told = field(init=False)
    sent: int = 0

    def __post_init__(self) -> None:
        self.told = Told(self.directory)

    @classmethod
    def made(cls, aws: Aws, directory: Path, *, versions: bool = False, queue: str = "files") -> Source:
        """With a bucket that announces to a queue directly."""
        url = aws.queue(queue)
        aws.bucket(BUCKET, versions=versions)
        aws.announce(BUCKET, queue=queue)
        return cls(aws, directory, url)

    async def open(self) -> S3Sqs:
        values: dict[str, Any] = {"wait_s": 1, "visibility_s": 20, "retry_after_s": 0, **self.settings}
        settings = S3SqsSettings(
            queue_url=self.queue_url, region=REGION, endpoint_url=self.endpoint or self.aws.endpoint, **values
        )
        backoff = Backoff(first_s=0.01, cap_s=0.05, alarm_after_s=60)
        patience = Patience(self.told.warnings.append, backoff=backoff, refused_pause_s=0.05)
        return await open_transport(settings, self.told.place, patience)

    async def send(self, bodies: list[bytes]) -> None:
        """Put an object each; directly announced ones arrive in this order, mostly."""
        for body in bodies:
            self.sent += 1
            await asyncio.to_thread(self.put, f"AWSLogs/{self.sent:05}.json", body)

    def put(self, key: str, body: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = self.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return answer

    def post(self, text: str, **more: str) -> None:
        """Send a message as it is."""
        self.aws.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody=text, **more)

    def purge(self) -> None:
        """Forget every message, that which S3 sends at the set-up too."""
        self.aws.client("sqs").purge_queue(QueueUrl=self.queue_url)

    def counts(self) -> tuple[int, int]:
        return self.aws.counts(self.queue_url)

    def dead(self) -> int:
        """Messages in the dead-letter queue."""
        name, fifo, _ = self.queue_url.partition(".fifo")
        return self.aws.counts(f"{name}-dead{fifo}")[0]


async def nothing_more_until_dead(iterator: AsyncIterator[Delivery], source: Source) -> bool:
    """Whether no body comes before a message is in the dead-letter queue."""
    coming = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
    await until(lambda: source.dead() == 1)
    came = coming.done()
    coming.cancel()
    await asyncio.gather(coming, return_exceptions=True)
    return not came
