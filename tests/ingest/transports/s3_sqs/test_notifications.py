"""What messages announce."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.schema.errors import MalformedBody
from ingest.transports.aws.objects import ObjectRef
from ingest.transports.s3_sqs.notifications import announced


def record(key: str = "AWSLogs/1.json.gz", name: str = "ObjectCreated:Put", **more: Any) -> dict[str, Any]:
    thing = {"key": key, "size": 10, "eTag": "abc", "sequencer": "0055", **more}
    return {"eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": "trail"}, "object": thing}}


DIRECT = {"Records": [record(), record("AWSLogs/2.json.gz", versionId="v2")]}
TWO = [
    ObjectRef("trail", "AWSLogs/1.json.gz", "", "abc", 10),
    ObjectRef("trail", "AWSLogs/2.json.gz", "v2", "abc", 10),
]


def test_a_notification_announces_every_object_with_version_etag_and_size() -> None:
    assert announced(json.dumps(DIRECT)) == TWO


def test_a_topic_may_have_wrapped_it() -> None:
    wrapped = {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:x", "Message": json.dumps(DIRECT)}
    assert announced(json.dumps(wrapped)) == TWO


def test_cloudtrails_own_topic_names_keys_of_one_bucket() -> None:
    own = {"s3Bucket": "trail", "s3ObjectKey": ["AWSLogs/a+b.json.gz", "AWSLogs/2.json.gz"]}
    wrapped = {"Type": "Notification", "Message": json.dumps(own)}
    expected = [ObjectRef("trail", "AWSLogs/a+b.json.gz"), ObjectRef("trail", "AWSLogs/2.json.gz")]
    assert announced(json.dumps(own)) == announced(json.dumps(wrapped)) == expected


def test_an_event_of_the_bus_has_plain_keys() -> None:
    thing = {"key": "a b+c%20.json", "size": 5, "etag": "abc", "version-id": "v1", "sequencer": "00"}
    event = {
        "version": "0",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "trail"}, "object": thing, "reason": "PutObject"},
    }
    assert announced(json.dumps(event)) == [ObjectRef("trail", "a b+c%20.json", "v1", "abc", 5)]
    assert announced(json.dumps({**event, "detail-type": "Object Deleted"})) == []


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("AWSLogs%2F1+2.json.gz", "AWSLogs/1 2.json.gz"),
        ("a%2Bb.json", "a+b.json"),
        ("l%C3%B6g.json", "lög.json"),
        ("100%25.json", "100%.json"),
    ],
)
def test_keys_of_s3_itself_are_encoded_like_a_form(encoded: str, key: str) -> None:
    assert announced(json.dumps({"Records": [record(encoded)]}))[0].key == key


@pytest.mark.parametrize(
    "quiet",
    [
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "trail"}),
        json.dumps({"Type": "Notification", "Message": "CloudTrail validation message."}),
        "CloudTrail validation message.",
        json.dumps({"Records": [record(name="ObjectRemoved:Delete")]}),
        json.dumps({"Records": []}),
    ],
)
def test_greetings_and_what_is_no_creation_announce_nothing(quiet: str) -> None:
    assert announced(quiet) == []


def test_a_topic_that_waits_for_its_confirmation_says_so() -> None:
    with pytest.raises(MalformedBody, match="confirm") as told:
        announced(json.dumps({"Type": "SubscriptionConfirmation", "TopicArn": "arn:aws:sns:x", "Token": "t"}))
    assert "aws sns confirm-subscription --topic-arn arn:aws:sns:x" in told.value.mend


@pytest.mark.parametrize(
    "foreign",
    [
        "hello",
        "",
        "[]",
        "{}",
        '{"Records": 7}',
        '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        '{"Records": [{"eventName": 5}]}',
        '{"s3Bucket": "trail"}',
        '{"s3Bucket": "trail", "s3ObjectKey": [5]}',
        '{"s3Bucket": "trail", "s3ObjectKey": 5}',
        '{"Type": "Notification"}',
        '{"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": "trail"}}}',
        json.dumps({"Records": [record("%FF%FE")]}),
        json.dumps({"Records": [record("")]}),
    ],
)
def test_what_is_no_notification_is_refused_with_what_to_do(foreign: str) -> None:
    with pytest.raises(MalformedBody) as told:
        announced(foreign)
    assert told.value.mend


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["Records", "s3", "Message", "Type", "x"]), inner),
)


@settings(max_examples=50)
@given(st.text() | JSON.map(json.dumps))
def test_any_text_gives_objects_or_a_refusal(text: str) -> None:
    try:
        found = announced(text)
    except MalformedBody:
        return
    assert all(each.bucket and each.key for each in found)
