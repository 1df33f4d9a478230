"""From the body of a message to the objects that it announces. Pure.

* S3 itself: ``{"Records": [{"eventName": "ObjectCreated:…", "s3": {…}}]}``, keys encoded like a form;
* through SNS: the same as text in `Message`, or raw;
* through EventBridge: ``{"detail-type": "Object Created", "detail": {…}}``, keys plain;
* CloudTrail's own topic: ``{"s3Bucket": …, "s3ObjectKey": […]}``, keys plain.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/configure-sns-notifications-for-cloudtrail.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from ingest.schema.errors import MalformedBody
from ingest.transports.aws.objects import ObjectRef

_CREATED = "ObjectCreated:"
_GREETING = "CloudTrail validation message."
_MEND = "let only notifications of S3 and CloudTrail into this queue; look at the message in its dead-letter queue"
_MOST_WRAPPERS = 3


def announced(text: str) -> list[ObjectRef]:
    """The objects that a message announces; none for greetings of the services and for what is no creation.

    Raises:
        MalformedBody: It is no notification that we know.
    """
    found: Any = text
    for _ in range(_MOST_WRAPPERS):
        if found == _GREETING:
            return []
        document = _object(found)
        if document.get("Type") == "Notification":
            found = document.get("Message")
            continue
        return list(_objects(document))
    raise _unknown("it is wrapped too often")


def _objects(document: dict[str, Any]) -> Iterator[ObjectRef]:
    try:
        if document.get("Event") == "s3:TestEvent":
            return
        if document.get("Type") == "SubscriptionConfirmation":
            raise _unknown(
                "the topic asks to confirm its subscription",
                f"confirm it: aws sns confirm-subscription --topic-arn {document.get('TopicArn')} --token <Token>",
            )
        if "Records" in document:
            for record in document["Records"]:
                if record["eventName"].removeprefix("s3:").startswith(_CREATED):
                    yield _of_record(record["s3"])
        elif document.get("source") == "aws.s3":
            if document["detail-type"] == "Object Created":
                yield _of_event(document["detail"])
        elif "s3Bucket" in document:
            keys = document["s3ObjectKey"]
            for key in [keys] if isinstance(keys, str) else keys:
                yield _ref(document["s3Bucket"], key)
        else:
            raise _unknown("it is not of S3, SNS, EventBridge or CloudTrail")
    except (KeyError, TypeError, AttributeError, UnicodeError) as exc:
        raise _unknown(f"a part is missing or of a wrong type: {exc}") from exc


def _of_record(part: dict[str, Any]) -> ObjectRef:
    thing = part["object"]
    key = unquote_plus(thing["key"], errors="strict")
    return _ref(part["bucket"]["name"], key, thing.get("versionId"), thing.get("eTag"), thing.get("size"))


def _of_event(detail: dict[str, Any]) -> ObjectRef:
    thing = detail["object"]
    return _ref(detail["bucket"]["name"], thing["key"], thing.get("version-id"), thing.get("etag"), thing.get("size"))


def _ref(bucket: Any, key: Any, version: Any = None, etag: Any = None, size: Any = None) -> ObjectRef:
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        raise _unknown("it names no bucket or no key")
    return ObjectRef(
        bucket,
        key,
        version if isinstance(version, str) and version != "null" else "",
        etag.strip('"') if isinstance(etag, str) else "",
        size if isinstance(size, int) and size >= 0 else None,
    )


def _object(text: Any) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, TypeError, RecursionError) as exc:
        raise _unknown(str(exc)) from exc
    if not isinstance(document, dict):
        raise _unknown("it is no JSON object")
    return document


def _unknown(why: str, mend: str = _MEND) -> MalformedBody:
    return MalformedBody(f"reading notification: {why}", mend=mend)
