"""A trail, its bucket and its queue, proven on moto; what is missing is named with its mend."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from ingest.transports.registry import as_collector
from ingest.transports.s3_sqs.settings import S3SqsSettings
from skytrail.diagnosis.check import Check
from skytrail.onboarding.aws_policy import Sender
from skytrail.onboarding.checks.s3_sqs import _QueueProof as QueueProof
from skytrail.onboarding.proving import Asked, prove, proven
from tests.ingest.transports.aws.faulty import Fault, Faulty, faulty
from tests.ingest.transports.aws.servers import REGION, Aws, arn, aws

__all__ = ["aws"]

BUCKET = "example-trail"
SENDER = {"Service": "s3.amazonaws.com"}
FROM_BUCKET = {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{BUCKET}"}}
STEPS = [
    *("collector trail", "credentials", "queue", "rights on the queue", "who may send"),
    *("trail", "logging", "regions", "digests", "selected events", "announcement", "files", "events"),
]


class Site:
    """A trail as `skytrail onboard aws` makes it, as far as moto knows such things."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.endpoint = aws.endpoint
        self.queue_url = aws.queue("trail-files", MessageRetentionPeriod="1209600")
        self.policy(SENDER, FROM_BUCKET)
        aws.bucket(BUCKET)
        aws.announce(BUCKET, queue="trail-files")
        aws.client("s3").put_object(Bucket=BUCKET, Key="AWSLogs/1.json.gz", Body=b"x")
        self.trails = aws.client("cloudtrail")
        self.trails.create_trail(
            Name="trail", S3BucketName=BUCKET, IsMultiRegionTrail=True, EnableLogFileValidation=True
        )
        self.trails.start_logging(Name="trail")

    def policy(self, principal: Any, condition: dict[str, Any], effect: str = "Allow") -> None:
        statement = {"Effect": effect, "Principal": principal, "Action": "sqs:SendMessage", "Condition": condition}
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.aws.client("sqs").set_queue_attributes(QueueUrl=self.queue_url, Attributes={"Policy": text})

    async def proof(self, format_name: str = "aws.cloudtrail") -> dict[str, Check]:
        own = {"queue_url": self.queue_url, "region": REGION, "endpoint_url": self.endpoint}
        settings = as_collector({"transport": "s3_sqs", "format": format_name, "s3_sqs": own})
        asked = Asked("trail", settings, lambda: dt.datetime.now(dt.UTC))
        return {check.name: check async for check in prove(asked, arrived)}


async def arrived(within_s: float) -> Iterable[Check]:
    assert within_s == 900
    return [Check("events", "ok", "1 records")]


@pytest.fixture
def site(aws: Aws) -> Site:
    return Site(aws)


@pytest.fixture
def proxy(site: Site) -> Iterator[Faulty]:
    with faulty(site.aws.endpoint) as proxy:
        site.endpoint = proxy.endpoint
        yield proxy


async def test_a_source_that_is_as_it_should_be_is_proven_in_the_order_of_mending(site: Site) -> None:
    found = await site.proof()
    assert list(found) == STEPS
    assert {check.state for check in found.values()} == {"ok"}
    assert proven(list(found.values())) == 0
    assert "arn:aws" in found["credentials"].found
    assert found["files"].found.startswith(f"{BUCKET}/AWSLogs/1.json.gz can be read")


async def test_nothing_is_changed_but_one_reception(site: Site) -> None:
    before = site.aws.counts(site.queue_url)
    await site.proof()
    assert site.aws.counts(site.queue_url) == before


def off(site: Site) -> None:
    site.trails.stop_logging(Name="trail")


def one_region(site: Site) -> None:
    site.trails.update_trail(Name="trail", IsMultiRegionTrail=False)


def no_global_services(site: Site) -> None:
    site.trails.update_trail(Name="trail", IncludeGlobalServiceEvents=False)


def no_digests(site: Site) -> None:
    site.trails.update_trail(Name="trail", EnableLogFileValidation=False)


def no_trail(site: Site) -> None:
    site.trails.delete_trail(Name="trail")


def elsewhere(site: Site) -> None:
    site.aws.bucket("another")
    site.trails.update_trail(Name="trail", S3BucketName="another")


def no_sender(site: Site) -> None:
    site.policy(SENDER, FROM_BUCKET, effect="Deny")


def not_announced(site: Site) -> None:
    s3 = site.aws.client("s3")
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})


@pytest.mark.parametrize(
    ("break_it", "step", "mend"),
    [
        (off, "logging", "start-logging --name trail"),
        (one_region, "regions", "--is-multi-region-trail"),
        (no_global_services, "regions", "--include-global-service-events"),
        (no_digests, "digests", "--enable-log-file-validation"),
        (no_trail, "trail", "skytrail onboard aws"),
        (elsewhere, "trail", "skytrail onboard aws"),
        (no_sender, "who may send", "aws:SourceArn is the bucket"),
        (not_announced, "announcement", f"let {BUCKET} send s3:ObjectCreated:*"),
    ],
)
async def test_what_is_missing_fails_and_says_how_to_mend_it(
    site: Site, break_it: Callable[[Site], None], step: str, mend: str
) -> None:
    break_it(site)
    found = await site.proof()
    assert found[step].state == "fail"
    assert mend in found[step].mend
    assert [name for name, check in found.items() if check.state == "fail"] == [step]
    assert proven(list(found.values())) == 3


async def test_a_queue_that_is_not_there_leaves_the_rest_unasked(site: Site) -> None:
    site.queue_url = site.queue_url.replace("trail-files", "another")
    found = await site.proof()
    assert "correct queue_url" in found["queue"].mend
    skipped = [name for name, check in found.items() if check.state == "skipped"]
    assert skipped == [name for name in STEPS if name not in ("collector trail", "credentials", "queue", "events")]


@pytest.mark.parametrize(
    ("asks", "code", "step"),
    [
        ("AmazonSQS.GetQueueAttributes", "AccessDenied", "queue"),
        ("AmazonSQS.ReceiveMessage", "AccessDenied", "rights on the queue"),
        ("AmazonSQS.DeleteMessage", "AccessDenied", "rights on the queue"),
        ("AmazonSQS.ChangeMessageVisibility", "AccessDenied", "rights on the queue"),
        (f"GET /{BUCKET}/AWSLogs", "AccessDenied", "files"),
        (f"GET /{BUCKET}/AWSLogs", "KMS.AccessDeniedException", "files"),
    ],
)
async def test_what_the_collector_must_do_and_may_not_fails_as_denied(
    site: Site, proxy: Faulty, asks: str, code: str, step: str
) -> None:
    proxy.faults.append(Fault(asks, 99, 403, code, "User: x is not authorized to perform: y:Z on resource: r"))
    found = await site.proof()
    assert (found[step].state, found[step].denied) == ("fail", True)
    assert proven(list(found.values())) == 4


@pytest.mark.parametrize(
    ("asks", "steps"),
    [
        ("DescribeTrails", ["trail", "logging", "regions", "digests", "selected events"]),
        ("GetEventSelectors", ["selected events"]),
        ("?notification", ["announcement"]),
    ],
)
async def test_what_the_collector_need_not_know_is_skipped_where_we_may_not_ask(
    site: Site, proxy: Faulty, asks: str, steps: list[str]
) -> None:
    proxy.faults.append(Fault(asks, 99, 403, "AccessDenied", "not authorized to perform: y:Z on resource: r"))
    found = await site.proof()
    assert [name for name, check in found.items() if check.state == "skipped"] == steps
    assert "allow y:Z on r" in found[steps[0]].mend
    assert proven(list(found.values())) == 5


async def test_without_credentials_nothing_else_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/there/is/none")
    found = await site.proof()
    assert (found["credentials"].state, found["credentials"].denied) == ("fail", True)
    assert "give credentials as for any AWS tool" in found["credentials"].mend
    assert {check.state for name, check in found.items() if name in STEPS[2:-1]} == {"skipped"}


async def test_an_error_of_delivery_is_what_cloudtrail_says_with_its_mend(site: Site, proxy: Faulty) -> None:
    body = json.dumps({"IsLogging": True, "LatestDeliveryError": "AccessDenied"}).encode()
    proxy.faults.append(Fault("GetTrailStatus", 1, 200, body=body))
    found = await site.proof()
    assert found["logging"].state == "fail"
    assert "policies of the bucket and of the key" in found["logging"].mend


async def test_a_trail_that_delivered_nothing_for_long_is_a_warning(site: Site, proxy: Faulty) -> None:
    body = json.dumps({"IsLogging": True, "LatestDeliveryTime": 1_700_000_000}).encode()
    proxy.faults.append(Fault("GetTrailStatus", 1, 200, body=body))
    found = await site.proof()
    assert (found["logging"].state, found["logging"].found) == (
        "warn",
        "on, the last delivery was at 2023-11-14T22:13:20Z",
    )


async def test_digests_that_stopped_coming_are_a_warning(site: Site, proxy: Faulty) -> None:
    body = json.dumps({"IsLogging": True, "LatestDigestDeliveryTime": 1_700_000_000}).encode()
    proxy.faults.append(Fault("GetTrailStatus", 2, 200, body=body))
    found = await site.proof()
    assert found["digests"].state == "warn"
    assert "every hour" in found["digests"].mend


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc"])
def test_a_trail_is_found_by_the_bucket_that_may_send_in_every_partition_of_aws(partition: str) -> None:
    bucket = f"arn:{partition}:s3:::{BUCKET}"
    queue = QueueProof(None, S3SqsSettings(queue_url="https://sqs.eu.example.org/1/q", region=REGION))
    queue.arn = f"arn:{partition}:sqs:eu:1:q"
    queue.senders = [Sender("s3.amazonaws.com", (bucket,), bounded=True)]
    assert queue.hears_of({"S3BucketName": BUCKET})
    assert not queue.hears_of({"S3BucketName": "another"})


async def test_a_bucket_without_files_is_skipped(site: Site) -> None:
    site.aws.client("s3").delete_object(Bucket=BUCKET, Key="AWSLogs/1.json.gz")
    found = await site.proof()
    assert found["files"].state == "skipped"


async def test_a_queue_without_dead_letters_or_with_everybody_as_sender_is_a_warning(site: Site) -> None:
    site.queue_url = site.aws.client("sqs").create_queue(QueueName="plain")["QueueUrl"]
    site.policy("*", {})
    found = await site.proof()
    assert found["queue"].state == found["who may send"].state == "warn"
    assert "dead-letter" in found["queue"].found
    assert "buckets of others" in found["who may send"].found


async def test_other_logs_than_those_of_a_trail_are_not_asked_about_one(site: Site) -> None:
    no_trail(site)
    found = await site.proof("aws.cloudwatch")
    assert list(found) == [name for name in STEPS if name not in STEPS[5:10]]
    assert {check.state for check in found.values()} == {"ok"}


async def test_announcements_through_a_topic_are_found(site: Site) -> None:
    topic = arn("sns", "files")
    site.aws.client("sns").create_topic(Name="files")
    site.aws.announce(BUCKET, topic="files")
    site.policy({"Service": "sns.amazonaws.com"}, {"ArnEquals": {"aws:SourceArn": topic}})
    found = await site.proof("aws.cloudwatch")
    assert found["who may send"].found == f"SNS for {topic}"
    assert found["announcement"].state == "skipped"  # who announces to the topic is not to be seen here
