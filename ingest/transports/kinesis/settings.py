"""Settings of the Kinesis stream as a source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ingest.transports.aws.settings import AwsSettings


class KinesisSettings(AwsSettings, extra="forbid", frozen=True):
    """A Kinesis data stream: subscriptions of CloudWatch Logs, or anything else. One collector reads all its shards."""

    stream: str = Field(min_length=1, description="Name of the stream; its ARN where it is another account's.")
    start_at: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where the first start begins; later ones go on where the last one ended."
    )
    poll_interval_s: float = Field(
        default=1.0,
        ge=0.2,
        description="Seconds between reads of a shard that has no more records. AWS allows five reads a second and "
        "shard, of all its readers together.",
    )
    discover_interval_s: float = Field(
        default=60.0, gt=0, description="Seconds between looks for new shards; the end of a shard is a look, too."
    )
    batch_messages: int = Field(
        default=500, ge=1, le=10_000, description="Records of a shard that may travel as one body."
    )
    batch_bytes: int = Field(default=1024 * 1024, gt=0, description="Bytes that records of one body may have together.")


SETTINGS = KinesisSettings
