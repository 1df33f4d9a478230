"""A Kinesis stream of one shard with an event a record, beside get_records in a loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ingest.transports.contract import Place, Transport
from ingest.transports.kinesis.settings import KinesisSettings
from ingest.transports.kinesis.transport import open_transport
from skytrail.bench.cloud import REGION, client, cloud
from skytrail.bench.collecting import Load

_PUT_AT_ONCE = 250


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Stream]:
    """A cloud in which each filling is a stream of its own."""
    async with cloud() as address:
        yield Stream(address, load)


class Stream:
    """See `Source`."""

    sdk = "boto3"

    def __init__(self, address: str, load: Load) -> None:
        self._address = address
        self._client = client("kinesis", address)
        self._lines = load.lines
        self._number = 0
        self.size = load.size

    @property
    def _name(self) -> str:
        return f"bench-{self._number}"

    async def fill(self) -> None:
        """See `Source.fill`."""
        await asyncio.to_thread(self._put)

    def _put(self) -> None:
        if self._number:
            self._client.delete_stream(StreamName=self._name)
        self._number += 1
        self._client.create_stream(StreamName=self._name, ShardCount=1)
        for start in range(0, len(self._lines), _PUT_AT_ONCE):
            records = [{"Data": line, "PartitionKey": "1"} for line in self._lines[start : start + _PUT_AT_ONCE]]
            self._client.put_records(StreamName=self._name, Records=records)

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        settings = KinesisSettings(stream=self._name, region=REGION, endpoint_url=self._address, poll_interval_s=0.2)
        return await open_transport(settings, place)

    async def alone(self) -> int:
        """See `Source.alone`."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> int:
        kinesis = client("kinesis", self._address)
        shard = kinesis.list_shards(StreamName=self._name)["Shards"][0]["ShardId"]
        iterator = kinesis.get_shard_iterator(StreamName=self._name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        taken = 0
        while taken < self.size:
            answer = kinesis.get_records(ShardIterator=iterator)
            taken += sum(len(record["Data"]) for record in answer["Records"])
            iterator = answer["NextShardIterator"]
        return taken
