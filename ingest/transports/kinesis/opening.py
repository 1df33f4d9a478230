"""What is found when a stream is opened, and what that means for the progress that was kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.schema.errors import ConfigError, SourceUnavailable
from ingest.transports.aws.calls import AwsCalls
from ingest.transports.contract import Place
from ingest.transports.kinesis.checkpoint import Checkpoint, Stream
from ingest.transports.kinesis.settings import KinesisSettings

_KEEP_LONGER = "it is lost at the source if there was any: let the stream keep records for longer than an outage lasts"
_SKEW = dt.timedelta(seconds=5)  # our clock may be ahead of AWS's, which refuses to begin at a time to come


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that answers.

    Attributes:
        named: How requests name it.
        retention: How long it keeps records.
    """

    named: Mapping[str, Any]
    stream: Stream
    retention: dt.timedelta


async def describe(calls: AwsCalls, settings: KinesisSettings) -> Opened:
    """Ask for the stream.

    Raises:
        SourceUnavailable: AWS does not answer.
        SourceRefused: There is no such stream, or we may not read it.
    """
    named: dict[str, Any] = {"StreamARN" if settings.stream.startswith("arn:") else "StreamName": settings.stream}
    answer: Mapping[str, Any] = await calls(
        "kinesis",
        "describe_stream_summary",
        where=f"stream {settings.stream}",
        needs="StreamDescriptionSummary",
        **named,
    )
    found = answer["StreamDescriptionSummary"]
    created_at: dt.datetime = found["StreamCreationTimestamp"]
    return Opened(
        named,
        Stream(arn=found["StreamARN"], created_at=created_at.astimezone(dt.UTC)),
        dt.timedelta(hours=found["RetentionPeriodHours"]),
    )


def resume(checkpoint: Checkpoint, opened: Opened, settings: KinesisSettings, place: Place) -> None:
    """Go on where the checkpoint ends, or begin; what may be lost is told.

    Raises:
        ConfigError: The progress is that of another stream.
    """
    kept, found = checkpoint.stream, opened.stream
    now = place.clock()
    if kept is None:
        checkpoint.begin(found, now - _SKEW if settings.start_at == "latest" else None)
    elif kept.arn != found.arn:
        raise ConfigError(
            f"opening stream: the checkpoint is that of {kept.arn}, the settings name {found.arn}",
            where=str(checkpoint.file),
            mend="give the collector of another stream another name, or move the checkpoint away",
        )
    elif kept.created_at != found.created_at:
        what = f"opening stream: it was made anew at {found.created_at:%Y-%m-%dT%H:%M:%SZ}; reading its beginning"
        mend = "find out who did it; what the old one held and was not read is lost at the source"
        place.warn(SourceUnavailable(what, where=found.arn, mend=mend))
        checkpoint.begin(found, None)
    else:
        _tell_expired(checkpoint, opened, place, now)


def _tell_expired(checkpoint: Checkpoint, opened: Opened, place: Place, now: dt.datetime) -> None:
    horizon = now - opened.retention
    behind = {name: mark for name, mark in checkpoint.shards.items() if not mark.done and mark.reached_at < horizon}
    if behind:
        oldest = min(mark.reached_at for mark in behind.values())
        hours = opened.retention.total_seconds() / 3600
        what = (
            f"opening stream: {len(behind)} shards were last read to their end before the {hours:g} hours that it "
            f"keeps records; what arrived from {oldest:%Y-%m-%dT%H:%M:%SZ} to {horizon:%Y-%m-%dT%H:%M:%SZ} is gone"
        )
        place.warn(SourceUnavailable(what, where=opened.stream.arn, mend=_KEEP_LONGER))


def overtaken(reached_at: dt.datetime, horizon: dt.datetime, where: str) -> SourceUnavailable:
    """Records of a shard expired while it was not read."""
    what = (
        f"reading shard: nothing was read of it for so long that what arrived from {reached_at:%Y-%m-%dT%H:%M:%SZ} to "
        f"{horizon:%Y-%m-%dT%H:%M:%SZ} is gone"
    )
    return SourceUnavailable(what, where=where, mend=_KEEP_LONGER)
