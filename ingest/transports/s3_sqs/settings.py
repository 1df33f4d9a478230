"""Settings of the transport for objects of S3 that a queue announces."""

from __future__ import annotations

import re

from pydantic import Field

from ingest.transports.aws.settings import AwsSettings

_REGION = re.compile(r"https://(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com")


class S3SqsSettings(AwsSettings, extra="forbid", frozen=True):
    """Objects of S3 that an SQS queue announces: directly, through SNS, through EventBridge, or by CloudTrail."""

    queue_url: str = Field(description="Address of the queue, https://sqs.<region>.amazonaws.com/<account>/<name>.")
    visibility_s: int = Field(
        default=300,
        ge=5,
        le=43200,
        description="Seconds that a received message is hidden from others; extended while its objects are in work.",
    )
    wait_s: int = Field(
        default=5, ge=0, le=20, description="Seconds that one question for messages waits; a stop may wait as long."
    )
    retry_after_s: int = Field(
        default=60,
        ge=0,
        le=43200,
        description="Seconds until a message that could not be settled is received again; the queue's redrive policy "
        "counts these and moves it to the dead-letter queue.",
    )
    fetch_ahead: int = Field(default=4, ge=1, le=64, description="Objects fetched at once, ahead of their turn.")

    @property
    def located(self) -> S3SqsSettings:
        """The same with the region that the queue's address names, unless another one is set."""
        found = _REGION.match(self.queue_url)
        return self if self.region or not found else self.model_copy(update={"region": found[1] or found[2]})


SETTINGS = S3SqsSettings
