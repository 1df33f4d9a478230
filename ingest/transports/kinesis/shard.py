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
from ingest.transports.kinesis.aggregated import taken_apart

_MOST_RECORDS = 10_000  # of one answer, as AWS allows; it ends at 10 MiB, too
_EXPIRED = "ExpiredIteratorException"


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a shard, or one that was in it.

    Attributes:
        sequence: Its number: decimal digits, growing within the shard; `.2` behind it: the third of those in it.
        arrived_at: When the stream took it, about.
        done: Number of the last record of the stream that is delivered as a whole with this one; "" before the first.
    """

    sequence: str
    data: bytes
    arrived_at: dt.datetime
    done: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read brought.

    Attributes:
        behind_s: Age of the next record; 0 when there is none.
        last: The shard is closed and has no further record.
        answered: The stream was read; else how far it is behind is not known.
    """

    records: Sequence[Record]
    behind_s: float
    last: bool
    answered: bool = True


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
                "get_records", needs="Records", ShardIterator=iterator, Limit=_MOST_RECORDS, **self._arn
            )
        except SourceRefused as exc:
            self._iterator = ""  # whatever is wrong with it, the next call begins with a new one
            if _EXPIRED not in exc.what:
                raise
            return Batch((), 1.0, last=False, answered=False)
        self._iterator = answer.get("NextShardIterator") or ""
        records = [record for each in answer["Records"] for record in self._taken(each)]
        return Batch(records, answer.get("MillisBehindLatest", 0) / 1000, last=not self._iterator)

    def _taken(self, record: Mapping[str, Any]) -> list[Record]:
        """A record of the stream, or those in it; all but the last of these leave the stream's record undone."""
        sequence, before = record["SequenceNumber"], self._after
        self._after = sequence
        parts, at = taken_apart(record["Data"]), record["ApproximateArrivalTimestamp"]
        if len(parts) == 1:
            return [Record(sequence, parts[0], at, sequence)]
        last = len(parts) - 1
        return [
            Record(f"{sequence}.{place}", data, at, sequence if place == last else before)
            for place, data in enumerate(parts)
        ]

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
        answer: Mapping[str, Any] = await self._call(
            "get_shard_iterator", needs="ShardIterator", ShardId=self._shard, **self._stream, **place
        )
        return str(answer["ShardIterator"])

    async def _call(self, operation: str, **parameters: Any) -> Any:
        return await self._calls("kinesis", operation, where=self._where, **parameters)
