"""A stream of its own, ways to change its shards, and the transport on it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.backoff import Backoff
from ingest.transports.aws.patience import Patience
from ingest.transports.contract import Place
from ingest.transports.kinesis.settings import KinesisSettings
from ingest.transports.kinesis.transport import Kinesis, open_transport
from tests.ingest.fakes import Told
from tests.ingest.transports.aws.servers import REGION, Aws
from tests.ingest.transports.contract import Harness

_SETTLED_S = 10.0
HALF, QUARTER = 2**127, 2**126


@dataclass
class Source(Harness):
    """A stream and the place of a collector that reads it.

    Attributes:
        endpoint: Where the transport finds the cloud; that of `aws` unless a proxy lies between.
        settings: What differs from the settings of most tests.
        place: What differs from the place of most tests.
    """

    aws: Aws
    directory: Path
    endpoint: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    place: Place | None = None
    name: str = field(default_factory=lambda: f"test-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.told = Told(self.directory)
        self.client = self.aws.client("kinesis")

    @classmethod
    def made(cls, aws: Aws, directory: Path, *, shards: int = 1) -> Source:
        source = cls(aws, directory)
        source.create(shards)
        return source

    @property
    def checkpoint(self) -> Path:
        return self.directory / "checkpoints" / "mine.json"

    async def open(self) -> Kinesis:
        values: dict[str, Any] = {"poll_interval_s": 0.2, "stream": self.name, **self.settings}
        settings = KinesisSettings(region=REGION, endpoint_url=self.endpoint or self.aws.endpoint, **values)
        backoff = Backoff(first_s=0.01, cap_s=0.05, alarm_after_s=60)
        patience = Patience(self.told.warnings.append, backoff=backoff, refused_pause_s=0.05)
        return await open_transport(settings, self.place or self.told.place, patience)

    async def send(self, bodies: list[bytes]) -> None:
        """Put a record each, in this order, under one key."""
        await asyncio.to_thread(self.put, bodies)

    def put(self, bodies: Iterable[bytes], key: str = "k") -> None:
        for body in bodies:
            self.client.put_record(StreamName=self.name, Data=body, PartitionKey=key)

    def create(self, shards: int = 1) -> None:
        self.client.create_stream(StreamName=self.name, ShardCount=shards)
        self._settled()

    def recreate(self) -> None:
        """Delete the stream and make another one with its name, a second later: that is how exact AWS's times are."""
        self.client.delete_stream(StreamName=self.name)
        time.sleep(1.1)
        self.create()

    def split(self, shard: str, at: int = HALF) -> None:
        self.client.split_shard(StreamName=self.name, ShardToSplit=shard, NewStartingHashKey=str(at))
        self._settled()

    def merge(self, shard: str, neighbour: str) -> None:
        self.client.merge_shards(StreamName=self.name, ShardToMerge=shard, AdjacentShardToMerge=neighbour)
        self._settled()

    def shards(self) -> list[str]:
        """Ids of all shards, in the order of their making."""
        return sorted(shard["ShardId"] for shard in self.client.list_shards(StreamName=self.name)["Shards"])

    def _settled(self) -> None:
        deadline = time.monotonic() + _SETTLED_S
        while True:
            try:
                found = self.client.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]
            except self.client.exceptions.ResourceNotFoundException:
                found = {}
            if found.get("StreamStatus") == "ACTIVE":
                return
            assert time.monotonic() < deadline, f"the stream stays {found}"
            time.sleep(0.02)
