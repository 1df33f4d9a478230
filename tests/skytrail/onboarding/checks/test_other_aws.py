"""Kinesis streams and listed buckets, proven on moto; policies and selectors without a server."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

import pytest

from ingest.transports.registry import as_collector
from skytrail.diagnosis.check import Check
from skytrail.onboarding.aws_policy import Sender, named, senders
from skytrail.onboarding.aws_trail import lacking_events
from skytrail.onboarding.proving import Asked, prove
from tests.ingest.transports.aws.servers import REGION, Aws, aws

__all__ = ["aws"]


async def proof(aws: Aws, transport: str, **own: Any) -> dict[str, Check]:
    own |= {"region": REGION, "endpoint_url": aws.endpoint}
    settings = as_collector({"transport": transport, "format": "aws.cloudwatch", transport: own})
    asked = Asked("source", settings, lambda: dt.datetime.now(dt.UTC))

    async def arrived(_within_s: float) -> Iterable[Check]:
        return [Check("events", "ok", "")]

    return {check.name: check async for check in prove(asked, arrived)}


async def test_a_stream_that_keeps_records_long_enough_is_proven(aws: Aws) -> None:
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName="logs", ShardCount=2)
    found = await proof(aws, "kinesis", stream="logs")
    assert [check.state for check in found.values()] == ["ok", "ok", "warn", "ok", "ok"]
    assert "--retention-period-hours 168" in found["stream"].mend
    kinesis.increase_stream_retention_period(StreamName="logs", RetentionPeriodHours=168)
    found = await proof(aws, "kinesis", stream="logs")
    assert {check.state for check in found.values()} == {"ok"}
    assert found["shards"].found.startswith("2 can be listed")


async def test_a_stream_that_is_not_there_says_what_to_correct(aws: Aws) -> None:
    found = await proof(aws, "kinesis", stream="logs")
    assert (found["stream"].state, found["shards"].state) == ("fail", "skipped")
    assert "correct the stream's name" in found["stream"].mend


async def test_a_listed_bucket_is_proven_by_its_first_file(aws: Aws) -> None:
    aws.bucket("past")
    found = await proof(aws, "s3_listing", bucket="past", prefix="a/")
    assert found["files"].state == "skipped"
    aws.client("s3").put_object(Bucket="past", Key="a/1", Body=b"x")
    found = await proof(aws, "s3_listing", bucket="past", prefix="a/")
    assert found["files"].found == "past/a/1 can be read, not encrypted with a key of KMS"
    found = await proof(aws, "s3_listing", bucket="another")
    assert "bucket's name" in found["files"].mend


BUCKET = "arn:aws:s3:::trail"
SERVICE = {"Service": "s3.amazonaws.com"}


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ({}, [Sender("s3.amazonaws.com", (), bounded=False)]),
        ({"Effect": "Deny"}, []),
        ({"Action": "sqs:ReceiveMessage"}, []),
        ({"Action": ["sqs:ReceiveMessage", "SQS:SendMessage"]}, [Sender("s3.amazonaws.com", (), bounded=False)]),
        ({"Principal": "*"}, [Sender("*", (), bounded=False)]),
        ({"Principal": {"AWS": ["a", "b"]}}, [Sender("a", (), bounded=False), Sender("b", (), bounded=False)]),
        (
            {"Condition": {"ArnLike": {"AWS:SourceArn": BUCKET}}},
            [Sender("s3.amazonaws.com", (BUCKET,), bounded=True)],
        ),
        (
            {"Condition": {"StringEqualsIfExists": {"aws:SourceAccount": ["1"]}}},
            [Sender("s3.amazonaws.com", (), bounded=True)],
        ),
    ],
    ids=str,
)
def test_a_policy_says_who_may_send_and_for_whom(statement: dict[str, Any], found: list[Sender]) -> None:
    whole = {"Effect": "Allow", "Principal": SERVICE, "Action": "sqs:SendMessage", **statement}
    assert senders(json.dumps({"Statement": whole})) == found
    assert senders(json.dumps({"Statement": [whole]})) == found


@pytest.mark.parametrize("policy", ["", "{", "{}"])
def test_no_policy_lets_nobody_send(policy: str) -> None:
    assert senders(policy) == []


def test_sources_with_wildcards_let_send_and_name_nothing() -> None:
    sender = Sender("s3.amazonaws.com", ("arn:aws:s3:::trail*", BUCKET), bounded=True)
    assert sender.lets("s3.amazonaws.com", "arn:aws:s3:::trail-2")
    assert not sender.lets("s3.amazonaws.com", "arn:aws:s3:::other")
    assert not sender.lets("sns.amazonaws.com", BUCKET)
    assert named([sender], "s3.amazonaws.com") == [BUCKET]


MANAGEMENT = {"Field": "eventCategory", "Equals": ["Management"]}
DATA = {"Field": "eventCategory", "Equals": ["Data"]}
NO_KMS = {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}


@pytest.mark.parametrize(
    ("selectors", "lacking"),
    [
        ({}, []),
        ({"EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": True}]}, []),
        ({"EventSelectors": [{"ReadWriteType": "WriteOnly"}]}, ["reads are not logged"]),
        ({"EventSelectors": [{"ReadWriteType": "ReadOnly"}]}, ["writes are not logged"]),
        ({"EventSelectors": [{"ReadWriteType": "ReadOnly"}, {"ReadWriteType": "WriteOnly"}]}, []),
        ({"EventSelectors": [{"IncludeManagementEvents": False}]}, ["management events are not logged"]),
        (
            {"EventSelectors": [{"ExcludeManagementEventSources": ["kms.amazonaws.com"]}]},
            ["kms.amazonaws.com left out"],
        ),
        ({"AdvancedEventSelectors": [{"FieldSelectors": [MANAGEMENT]}, {"FieldSelectors": [DATA]}]}, []),
        ({"AdvancedEventSelectors": [{"FieldSelectors": [DATA]}]}, ["management events are not logged"]),
        (
            {"AdvancedEventSelectors": [{"FieldSelectors": [MANAGEMENT, NO_KMS]}]},
            ["management events only where eventSource fit"],
        ),
    ],
    ids=str,
)
def test_management_events_that_are_left_out_are_named(selectors: dict[str, Any], lacking: list[str]) -> None:
    assert lacking_events(selectors) == lacking
