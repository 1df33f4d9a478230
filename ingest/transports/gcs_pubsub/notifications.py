"""From a message to the object that it announces. Pure.

https://cloud.google.com/storage/docs/pubsub-notifications
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ingest.schema.errors import MalformedBody
from ingest.transports.google_cloud.objects import ObjectRef

_CREATED = "OBJECT_FINALIZE"
_OTHERS = frozenset({"OBJECT_METADATA_UPDATE", "OBJECT_DELETE", "OBJECT_ARCHIVE"})
_MEND = "let only notifications of buckets into this topic; the subscription's dead-letter policy takes others away"


class _Resource(msgspec.Struct):
    size: str = ""
    crc32c: str = ""


def announced(attributes: Mapping[str, str], data: bytes) -> ObjectRef | None:
    """The object that a message announces; None for what is no creation.

    Args:
        attributes: Of the message.
        data: The object's resource where the notification is made so, else empty.

    Raises:
        MalformedBody: It is no notification of Cloud Storage.
    """
    event = attributes.get("eventType", "")
    if event in _OTHERS:
        return None
    bucket, name = attributes.get("bucketId", ""), attributes.get("objectId", "")
    generation = attributes.get("objectGeneration", "")
    if event != _CREATED or not bucket or not name or not (generation.isascii() and generation.isdigit()):
        seen = ", ".join(sorted(attributes)) or "none"
        raise MalformedBody(
            f"reading notification: it is not of Cloud Storage (event type {event!r}, attributes: {seen})", mend=_MEND
        )
    resource = _resource(data)
    size = int(resource.size) if resource.size.isascii() and resource.size.isdigit() else None
    return ObjectRef(bucket, name, int(generation), size, resource.crc32c if size is not None else "")


def _resource(data: bytes) -> _Resource:
    """What else the message says; without it, the object is asked."""
    try:
        return msgspec.json.decode(data, type=_Resource)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Resource()
