"""Objects of S3 that are listed, beside list_objects_v2 and get_object in a loop."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator

from ingest.transports.contract import Place, Transport
from ingest.transports.s3_listing.settings import S3ListingSettings
from ingest.transports.s3_listing.transport import open_transport
from skytrail.bench.cloud import REGION, client, cloud
from skytrail.bench.collecting import Load

_BUCKET = "bench"


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Objects]:
    """A bucket of gzip files in the form of CloudTrail's."""
    async with cloud() as address:
        yield Objects(address, load)


class Objects:
    """See `Source`."""

    sdk = "boto3"

    def __init__(self, address: str, load: Load) -> None:
        self._address = address
        s3 = client("s3", address)
        s3.create_bucket(Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.size = 0
        for number, body in enumerate(load.bodies()):
            packed = gzip.compress(body, 6, mtime=0)
            s3.put_object(Bucket=_BUCKET, Key=f"AWSLogs/{number:06}.json.gz", Body=packed)
            self.size += len(packed)

    async def fill(self) -> None:
        """Nothing: reading does not empty it."""

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        settings = S3ListingSettings(bucket=_BUCKET, region=REGION, endpoint_url=self._address)
        return await open_transport(settings, place)

    async def alone(self) -> int:
        """See `Source.alone`."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> int:
        s3 = client("s3", self._address)
        taken = 0
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET):
            for found in page["Contents"]:
                taken += len(s3.get_object(Bucket=_BUCKET, Key=found["Key"])["Body"].read())
        return taken
