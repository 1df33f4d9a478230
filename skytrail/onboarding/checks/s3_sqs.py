"""Proves objects of S3 that a queue announces; of CloudTrail also the trail that writes them.

Nothing is changed. One message is received and made visible again at once, which the queue counts as a reception.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from ingest.transports.aws.calls import AwsCalls
from ingest.transports.s3_sqs.settings import S3SqsSettings
from skytrail.diagnosis.check import Check
from skytrail.onboarding.aws_asking import calling, credentials, may_settle, optional, read_one
from skytrail.onboarding.aws_policy import SERVICES, Sender, named, senders
from skytrail.onboarding.aws_trail import TrailProof
from skytrail.onboarding.proving import Asked, Plan, ProofStep

_FIRST_S = {"aws.cloudtrail": 900.0, "aws.vpcflow": 1200.0}  # 5 and 10 minutes on average, says AWS
_OTHERS_S = 900.0
_SHORTEST_RETENTION_S = 4 * 86_400
_CREATED = ("s3:ObjectCreated:*", "s3:ObjectCreated:Put")
_S3 = "s3.amazonaws.com"
_QUEUE = ("queue",)


@contextlib.asynccontextmanager
async def open_plan(asked: Asked) -> AsyncIterator[Plan]:
    """The steps for a collector of the transport s3_sqs."""
    own = asked.settings.own
    assert isinstance(own, S3SqsSettings)
    settings = own.located
    async with calling(settings) as calls:
        queue = _QueueProof(calls, settings)
        trail = TrailProof(calls, queue.hears_of, asked.now)
        files = _FilesProof(calls, queue, trail)
        steps = [
            ProofStep("credentials", credentials(calls, settings.role_arn)),
            ProofStep("queue", queue.look, ("credentials",)),
            ProofStep("rights on the queue", queue.rights, _QUEUE),
            ProofStep("who may send", queue.policy, _QUEUE),
            *(trail.steps("who may send") if asked.settings.format == "aws.cloudtrail" else ()),
            ProofStep("announcement", optional("announcement", files.announced), ("who may send",)),
            ProofStep("files", files.look, ("credentials",)),
        ]
        yield Plan(steps, _FIRST_S.get(asked.settings.format, _OTHERS_S))


class _QueueProof:
    """What the queue says of itself."""

    def __init__(self, calls: AwsCalls, settings: S3SqsSettings) -> None:
        self._calls = calls
        self._url = settings.queue_url
        self.arn = ""
        self.senders: list[Sender] = []

    async def look(self) -> Iterable[Check]:
        """Whether it is there, and keeps what it should."""
        answer: dict[str, Any] = await self._calls(
            "sqs", "get_queue_attributes", where=self._url, QueueUrl=self._url, AttributeNames=["All"]
        )
        found: Mapping[str, str] = answer["Attributes"]
        self.arn, self.senders = found["QueueArn"], senders(found.get("Policy", ""))
        waiting = f"{found['ApproximateNumberOfMessages']} messages wait"
        if "RedrivePolicy" not in found:
            mend = "give it a redrive policy; `skytrail onboard aws` prints one"
            told = f"{waiting}; no dead-letter queue: what can't be read comes again until it expires"
            return [Check("queue", "warn", told, mend)]
        kept_s = int(found["MessageRetentionPeriod"])
        if kept_s < _SHORTEST_RETENTION_S:
            mend = "set MessageRetentionPeriod to 1209600 (14 days)"
            told = f"{waiting}; they are kept for {kept_s / 3600:.0f} h: a longer stop loses announcements"
            return [Check("queue", "warn", told, mend)]
        return [
            Check("queue", "ok", f"{self.arn}: {waiting}, {found['ApproximateNumberOfMessagesNotVisible']} in work")
        ]

    async def rights(self) -> Iterable[Check]:
        """Whether we may receive, hide and delete."""
        await may_settle(self._calls, self._url)
        await self._calls(
            "sqs",
            "receive_message",
            where=self._url,
            QueueUrl=self._url,
            MaxNumberOfMessages=1,
            VisibilityTimeout=0,
            WaitTimeSeconds=0,
        )
        return [Check("rights on the queue", "ok", "we may receive, hide and delete messages")]

    async def policy(self) -> Iterable[Check]:
        """Whether its policy lets announcements in, and not everybody's."""
        name = "who may send"
        ways = [each for each in self.senders if each.who == "*" or each.who in SERVICES]
        if not ways:
            mend = (
                "let s3.amazonaws.com send, where aws:SourceArn is the bucket; `skytrail onboard aws` prints a policy"
            )
            return [Check(name, "fail", "the queue's policy lets neither S3 nor SNS nor EventBridge send", mend)]
        if loose := [each.who for each in ways if not each.bounded]:
            mend = "ask for aws:SourceArn or aws:SourceAccount in each statement of the queue's policy"
            return [Check(name, "warn", f"{', '.join(loose)} may send for anybody, buckets of others too", mend)]
        told = "; ".join(f"{SERVICES.get(each.who, each.who)} for {', '.join(each.sources) or 'us'}" for each in ways)
        return [Check(name, "ok", told)]

    def hears_of(self, trail: Mapping[str, Any]) -> bool:
        """Whether a trail's bucket, or the topic that it writes to itself, may send here."""
        partition = self.arn.split(":")[1]  # aws, aws-cn, aws-us-gov, aws-eusc
        bucket = f"arn:{partition}:s3:::{trail['S3BucketName']}"
        topic = trail.get("SnsTopicARN") or ""
        return any(
            each.lets(_S3, bucket)
            or (topic and each.lets("sns.amazonaws.com", topic))
            or (each.who == "events.amazonaws.com" and not self.buckets())
            for each in self.senders
        )

    def buckets(self) -> list[str]:
        """Names of buckets that the policy names."""
        return [arn.rpartition(":")[2] for arn in named(self.senders, _S3)]


class _FilesProof:
    """Whether the bucket announces its files, and whether they can be read."""

    def __init__(self, calls: AwsCalls, queue: _QueueProof, trail: TrailProof) -> None:
        self._calls = calls
        self._queue = queue
        self._trail = trail
        self._prefix = ""

    def _buckets(self) -> list[str]:
        return [self._trail.found["S3BucketName"]] if self._trail.found else self._queue.buckets()

    async def announced(self) -> Iterable[Check]:
        """Whether the notifications of each bucket come here."""
        buckets = self._buckets()
        if not buckets:
            told = "neither the queue's policy nor a trail names the bucket"
            return [Check("announcement", "skipped", told, "name it as aws:SourceArn in the queue's policy")]
        if self._trail.found.get("SnsTopicARN") in named(self._queue.senders, "sns.amazonaws.com"):
            return [Check("announcement", "ok", "CloudTrail announces its files to the topic itself")]
        return [await self._announced(bucket) for bucket in buckets]

    async def _announced(self, bucket: str) -> Check:
        found: dict[str, Any] = await self._calls(
            "s3", "get_bucket_notification_configuration", where=bucket, Bucket=bucket
        )
        topics = named(self._queue.senders, "sns.amazonaws.com")
        ways = [each for each in found.get("QueueConfigurations", ()) if each["QueueArn"] == self._queue.arn]
        ways += [each for each in found.get("TopicConfigurations", ()) if each["TopicArn"] in topics]
        if not any(set(_CREATED) & set(each["Events"]) for each in ways):
            if "EventBridgeConfiguration" in found and any(
                each.who.startswith("events.") for each in self._queue.senders
            ):
                return Check("announcement", "ok", f"{bucket} tells EventBridge; its rule must send to this queue")
            mend = f"let {bucket} send s3:ObjectCreated:* to {self._queue.arn}"
            return Check("announcement", "fail", f"{bucket} does not announce new objects to this queue", mend)
        self._prefix = min((_prefix_of(each) for each in ways), key=len)
        return Check("announcement", "ok", f"{bucket} announces new objects below {self._prefix or 'every key'}")

    async def look(self) -> Iterable[Check]:
        """Whether a file can be read."""
        buckets = self._buckets()
        if not buckets:
            return [Check("files", "skipped", "the bucket is not known")]
        return [await read_one(self._calls, bucket, self._prefix) for bucket in buckets]


def _prefix_of(way: Mapping[str, Any]) -> str:
    rules = way.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    return next((rule["Value"] for rule in rules if rule["Name"].lower() == "prefix"), "")
