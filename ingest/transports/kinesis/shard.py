"""One shard, read batch by batch.

An iterator serves one read and lives for five minutes; an expired one is replaced by one after the last record read.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.schema.errors import SourceRefused
from ingest.transports.aws.calls import AwsCalls

_MOST_RECORDS = 10_000  # of one answer, as AWS allows; it ends at 10 MiB, too
_EXPIRED = "ExpiredIteratorException"


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a shard.

    Attributes:
        sequence: Its number: decimal digits, growing within the shard.
        arrived_at: When the stream took it, about.
    """

    sequence: str
    data: bytes
    arrived_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read brought.

    Attributes:
        behind_s: Age of the next record; 0 when there is none.
        last: The shard is closed and has no further record.
    """

    records: Sequence[Record]
    behind_s: float
    last: bool


class ShardReader:
    """Reads a shard from some place on.

    A call that failed can be repeated: progress is noted only with an answer.

    Args:
        stream: How requests name the stream.
        after: Number of the record to begin after; "" is the beginning.
        start_at: Where there is no number: begin with what arrived at this time; None: with the oldest record.
        where: Stream and shard, for errors.
    """

    def __init__(
        self,
        calls: AwsCalls,
        stream: Mapping[str, Any],
        shard: str,
        *,
        after: str,
        start_at: dt.datetime | None,
        where: str,
    ) -> None:
        self._calls = calls
        self._stream = stream
        self._arn = {name: value for name, value in stream.items() if name == "StreamARN"}  # another account's needs it
        self._shard = shard
        self._after = after
        self._start_at = start_at
        self._where = where
        self._iterator = ""

    async def next(self) -> Batch:
        """The next records, perhaps none.

        Raises:
            SourceUnavailable: It may be read later.
            SourceRefused: AWS says no.
        """
        iterator = self._iterator or await self._begin()
        try:
            answer: Mapping[str, Any] = await self._call(
                "get_records", ShardIterator=iterator, Limit=_MOST_RECORDS, **self._arn
            )
        except SourceRefused as exc:
            self._iterator = ""  # whatever is wrong with it, the next call begins with a new one
            if _EXPIRED not in exc.what:
                raise
            return Batch((), 1.0, last=False)
        self._iterator = answer.get("NextShardIterator") or ""
        records = [
            Record(each["SequenceNumber"], each["Data"], each["ApproximateArrivalTimestamp"])
            for each in answer["Records"]
        ]
        if records:
            self._after = records[-1].sequence
        return Batch(records, answer.get("MillisBehindLatest", 0) / 1000, last=not self._iterator)

    async def _begin(self) -> str:
        if self._after:
            place: dict[str, Any] = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": self._after,
            }
        elif self._start_at is not None:
            place = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._start_at}
        else:
            place = {"ShardIteratorType": "TRIM_HORIZON"}
        answer: Mapping[str, Any] = await self._call("get_shard_iterator", ShardId=self._shard, **self._stream, **place)
        return str(answer["ShardIterator"])

    async def _call(self, operation: str, **parameters: Any) -> Any:
        return await self._calls("kinesis", operation, where=self._where, **parameters)
