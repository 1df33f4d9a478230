"""Messages of Pub/Sub around log entries: a sink's channel, and part of the record where an export kept it.

Pushed (``{"message": {"data": "<base64>"}, "subscription": …}``), pulled (``{"ackId": …, "message": {…}}``), or alone.

https://cloud.google.com/pubsub/docs/push#receive_push
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from ingest.parsing.scalars import NOTHING, mapping_of
from ingest.schema.errors import MalformedRecord

LIST_KEYS = ("entries", "receivedMessages")
"""Keys whose array holds the records: Cloud Logging's `entries.list`, Pub/Sub's `pull`."""

_PAYLOADS = frozenset({"protoPayload", "jsonPayload", "textPayload"})
_BASE64_WEB = bytes.maketrans(b"-_", b"+/")


def message_of(outer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The Pub/Sub message that a record is or holds; empty when there is none."""
    message = mapping_of(outer.get("message")) or outer
    return message if message.get("data").__class__ is str and _PAYLOADS.isdisjoint(message) else NOTHING


def data_of(message: Mapping[str, Any]) -> bytes:
    """The bytes that a message carries.

    Raises:
        MalformedRecord: They are not base64.
    """
    try:
        return base64.b64decode(message["data"].encode("ascii", "replace").translate(_BASE64_WEB), validate=True)
    except binascii.Error as exc:
        raise MalformedRecord(f"reading Pub/Sub message: its data is not base64: {exc}", where="data") from exc


def with_data(outer: Mapping[str, Any], message: Mapping[str, Any], data: bytes) -> bytes:
    """The text of a record whose message carries something else, such as the same without secrets.

    Args:
        outer: The record.
        message: The message in it, as `message_of` gave it.
        data: What it is to carry.
    """
    bare = {**message, "data": base64.b64encode(data).decode()}
    whole = bare if message is outer else {**outer, "message": bare}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def publish_time(message: Mapping[str, Any]) -> Any:
    """When Pub/Sub took a message; None where it is not told."""
    return message.get("publishTime") or message.get("publish_time")
