"""Proves a Kinesis stream: it is there, keeps records long enough, and its shards can be read."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from ingest.transports.aws.calls import AwsCalls
from ingest.transports.kinesis.settings import KinesisSettings
from skytrail.diagnosis.check import Check
from skytrail.onboarding.aws_asking import calling, credentials
from skytrail.onboarding.proving import Asked, Plan, ProofStep

_SHORT_H = 48
_FIRST_S = 600.0  # CloudWatch Logs and its subscription together need minutes


@contextlib.asynccontextmanager
async def open_plan(asked: Asked) -> AsyncIterator[Plan]:
    """The steps for a collector of the transport kinesis."""
    settings = asked.settings.own
    assert isinstance(settings, KinesisSettings)
    async with calling(settings) as calls:
        stream = _StreamProof(calls, settings)
        steps = [
            ProofStep("credentials", credentials(calls, settings.role_arn)),
            ProofStep("stream", stream.look, ("credentials",)),
            ProofStep("shards", stream.shards, ("stream",)),
        ]
        yield Plan(steps, _FIRST_S)


class _StreamProof:
    """What the stream says of itself, and whether it gives records."""

    def __init__(self, calls: AwsCalls, settings: KinesisSettings) -> None:
        self._calls = calls
        self._where = f"stream {settings.stream}"
        self._named = {"StreamARN" if settings.stream.startswith("arn:") else "StreamName": settings.stream}

    async def look(self) -> Iterable[Check]:
        """Whether it is there and keeps records for longer than a stop."""
        answer: dict[str, Any] = await self._ask("describe_stream_summary", **self._named)
        found: Mapping[str, Any] = answer["StreamDescriptionSummary"]
        told = f"{found['StreamARN']} is {found['StreamStatus']}, keeps records for {found['RetentionPeriodHours']} h"
        if found["StreamStatus"] not in ("ACTIVE", "UPDATING"):
            return [Check("stream", "fail", told, "look again when AWS has made it")]
        if found["RetentionPeriodHours"] < _SHORT_H:
            mend = "aws kinesis increase-stream-retention-period --retention-period-hours 168"
            return [Check("stream", "warn", f"{told}: a longer stop of the collector loses them", mend)]
        return [Check("stream", "ok", told)]

    async def shards(self) -> Iterable[Check]:
        """Whether shards can be listed and read: one record of the first is asked for."""
        listed: dict[str, Any] = await self._ask("list_shards", **self._named)
        first = listed["Shards"][0]["ShardId"]
        begun: dict[str, Any] = await self._ask(
            "get_shard_iterator", ShardId=first, ShardIteratorType="TRIM_HORIZON", **self._named
        )
        await self._ask("get_records", ShardIterator=begun["ShardIterator"], Limit=1)
        return [Check("shards", "ok", f"{len(listed['Shards'])} can be listed, the first can be read and decrypted")]

    async def _ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self._calls("kinesis", operation, where=self._where, **parameters)
        return answer
