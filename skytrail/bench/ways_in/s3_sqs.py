"""Objects of S3 that a queue announces, beside receive_message, get_object and delete_message_batch in a loop."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote_plus

from ingest.transports.contract import Place, Transport
from ingest.transports.s3_sqs.settings import S3SqsSettings
from ingest.transports.s3_sqs.transport import open_transport
from skytrail.bench.cloud import ACCOUNT, REGION, client, cloud
from skytrail.bench.collecting import Load

_BUCKET = "bench"
_QUEUE = "files"


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Announced]:
    """A bucket of gzip files in the form of CloudTrail's, and its queue."""
    async with cloud() as address:
        yield Announced(address, load)


class Announced:
    """See `Source`."""

    sdk = "boto3"

    def __init__(self, address: str, load: Load) -> None:
        self._address = address
        self._s3, self._sqs = client("s3", address), client("sqs", address)
        self._queue: str = self._sqs.create_queue(QueueName=_QUEUE)["QueueUrl"]
        dead = json.dumps({"deadLetterTargetArn": _arn("dead"), "maxReceiveCount": 10})
        self._sqs.create_queue(QueueName="dead")
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"RedrivePolicy": dead})
        self._s3.create_bucket(Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        told = {"QueueArn": _arn(_QUEUE), "Events": ["s3:ObjectCreated:*"]}
        self._s3.put_bucket_notification_configuration(
            Bucket=_BUCKET, NotificationConfiguration={"QueueConfigurations": [told]}
        )
        self._sqs.purge_queue(QueueUrl=self._queue)  # of S3's test event
        self._files = [gzip.compress(body, 6, mtime=0) for body in load.bodies()]
        self.size = sum(map(len, self._files))

    async def fill(self) -> None:
        """See `Source.fill`."""
        await asyncio.to_thread(self._put)

    def _put(self) -> None:
        for number, body in enumerate(self._files):
            self._s3.put_object(Bucket=_BUCKET, Key=f"AWSLogs/{number:06}.json.gz", Body=body)

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        settings = S3SqsSettings(queue_url=self._queue, region=REGION, endpoint_url=self._address, wait_s=0)
        return await open_transport(settings, place)

    async def alone(self) -> int:
        """See `Source.alone`."""
        return await asyncio.to_thread(self._emptied)

    def _emptied(self) -> int:
        sqs, s3 = client("sqs", self._address), client("s3", self._address)
        taken = 0
        while taken < self.size:
            answer: dict[str, Any] = sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
            messages = answer.get("Messages", ())
            for message in messages:
                for record in json.loads(message["Body"])["Records"]:
                    bucket, key = record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])
                    taken += len(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            done = [{"Id": str(place), "ReceiptHandle": one["ReceiptHandle"]} for place, one in enumerate(messages)]
            if done:
                sqs.delete_message_batch(QueueUrl=self._queue, Entries=done)
        return taken


def _arn(name: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
