"""A bucket, and the transport on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.backoff import Backoff
from ingest.transports.aws.patience import Patience
from ingest.transports.contract import Delivery
from ingest.transports.s3_listing.settings import S3ListingSettings
from ingest.transports.s3_listing.transport import S3Listing, open_transport
from tests.ingest.fakes import Told
from tests.ingest.transports.aws.servers import REGION, Aws
from tests.ingest.transports.contract import Harness

BUCKET = "trail"


@dataclass
class Source(Harness):
    """Where objects are put, and the place of a collector that lists them.

    Attributes:
        endpoint: Where the transport finds the cloud; that of `aws` unless a proxy lies between.
        settings: What differs from the settings of most tests.
    """

    aws: Aws
    directory: Path
    endpoint: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    sent: int = 0

    def __post_init__(self) -> None:
        self.told = Told(self.directory)

    @property
    def checkpoint(self) -> Path:
        return self.directory / "checkpoints" / "mine.json"

    async def open(self) -> S3Listing:
        settings = S3ListingSettings(
            bucket=BUCKET, region=REGION, endpoint_url=self.endpoint or self.aws.endpoint, **self.settings
        )
        backoff = Backoff(first_s=0.01, cap_s=0.05, alarm_after_s=60)
        patience = Patience(self.told.warnings.append, backoff=backoff, refused_pause_s=0.05)
        return await open_transport(settings, self.told.place, patience)

    async def send(self, bodies: list[bytes]) -> None:
        for body in bodies:
            self.sent += 1
            await asyncio.to_thread(self.put, f"AWSLogs/{self.sent:05}.json", body)

    def put(self, *keys_and_body: str | bytes) -> None:
        """Put objects with one body, which is also the key where none is given."""
        keys = [each for each in keys_and_body if isinstance(each, str)]
        bodies = [each for each in keys_and_body if isinstance(each, bytes)]
        for key in keys:
            self.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=bodies[0] if bodies else key.encode())

    async def run(self, most: int = 100_000) -> list[Delivery]:
        """Deliver and acknowledge, like a collector, to the end or to so many bodies."""
        transport = await self.open()
        found: list[Delivery] = []
        try:
            async with asyncio.timeout(60):
                async for delivery in transport.deliveries():
                    found.append(delivery)
                    await delivery.acknowledge()
                    if len(found) == most:
                        break
        finally:
            await transport.close()
        return found
