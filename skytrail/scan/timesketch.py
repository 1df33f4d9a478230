"""Timeline entries that Timesketch imports, with the field names of Plaso, so that its analysers and taggers fire.

Mandatory: `message`, `datetime` (ISO 8601 with offset), `timestamp_desc`; `timestamp` is microseconds since 1970.
https://timesketch.org/guides/user/import-from-json-csv/
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from detectors.reason import clean
from ingest.formats.contract import View
from storage.index.documents import serialise

_NO_TIME = ("1970-01-01T00:00:00+00:00", 0, "Not a time")
"""Plaso's words for an event without a time; Timesketch takes none without one."""

_TYPES: Mapping[str, str] = {
    "aws.cloudtrail": "aws:cloudtrail:entry",
    "azure.activitylogs": "azure:activitylog:entry",
    "gcp.audit": "gcp:log:entry",
}


def entry(format_name: str, view: View, shown: bytes) -> str:
    """The entry of one event as JSON text, without what the rules say of it.

    Args:
        format_name: Its format.
        view: The event; `ecs` may be empty.
        shown: Its bytes without secrets, for the formats whose vendor tree Plaso has no name for.
    """
    kind = _TYPES.get(format_name, f"{format_name.replace('.', ':')}:entry")
    named = _NAMED.get(kind, _plain)(view, shown)
    document = {
        "message": _message(view),
        **_when(view.ecs.get("@timestamp")),
        "data_type": kind,
        **{name: value for name, value in named.items() if value not in (None, "")},
    }
    return serialise(document).decode()


def _when(at: str | None) -> dict[str, Any]:
    if at is None:
        moment, micros, meaning = _NO_TIME
    else:
        found = dt.datetime.fromisoformat(at)
        moment, meaning = found.isoformat(timespec="milliseconds"), "Event Time"
        micros = round(found.timestamp() * 1000) * 1000
    return {"datetime": moment, "timestamp": micros, "timestamp_desc": meaning}


def _message(view: View) -> str:
    """The sentence that Plaso's formatter of CloudTrail makes, for every source."""
    who = _at(view.ecs, "skytrail.principal.display") or _at(view.ecs, "user.name") or "unknown"
    what = _at(view.ecs, "event.action") or "an unnamed action"
    key = _at(view.vendor, "userIdentity.accessKeyId")
    where = _at(view.ecs, "source.ip") or _at(view.ecs, "source.address")
    parts = [f"User {who} performed {what} on [{_resources(view)}]"]
    if key:
        parts.append(f"using access key {key}")
    if where:
        parts.append(f"from IP address {where}")
    return clean(" ".join(parts), 1000)


def _resources(view: View) -> str:
    listed = view.vendor.get("resources")
    if isinstance(listed, list):
        names = [_text(item.get("ARN") or item.get("arn")) for item in listed if isinstance(item, Mapping)]
        if any(names):
            return ", ".join(filter(None, names))
    places = ("azure.resource.id", "gcp.audit.resource_name", "orchestrator.resource.name", "entity.target.id")
    return next((_text(value) for place in places if (value := _at(view.ecs, place))), "")


def _cloudtrail(view: View, _: bytes) -> dict[str, Any]:
    return {
        "access_key": _at(view.vendor, "userIdentity.accessKeyId"),
        "account_identifier": _at(view.ecs, "cloud.account.id"),
        "cloud_trail_event": serialise(dict(view.vendor)).decode(),
        "event_name": _text(view.vendor.get("eventName")),
        "event_source": _text(view.vendor.get("eventSource")),
        "resources": _resources(view),
        "source_ip": _text(view.vendor.get("sourceIPAddress")),
        "user_identity_arn": _at(view.vendor, "userIdentity.arn"),
        "username": _at(view.ecs, "user.name"),
    }


def _activity(view: View, _: bytes) -> dict[str, Any]:
    return {
        "caller": _at(view.ecs, "user.name") or _at(view.ecs, "skytrail.principal.display"),
        "client_ip": _at(view.ecs, "source.ip"),
        "operation_name": _at(view.ecs, "event.action"),
        "resource_identifier": _at(view.ecs, "azure.resource.id"),
    }


def _gcp(view: View, shown: bytes) -> dict[str, Any]:
    return {
        "principal_email": _at(view.ecs, "user.email") or _at(view.ecs, "skytrail.principal.display"),
        "event_subtype": _at(view.ecs, "event.action"),
        "resource_name": _resources(view),
        "text_payload": shown.decode("utf-8", "replace"),
    }


def _plain(view: View, shown: bytes) -> dict[str, Any]:
    return {
        "username": _at(view.ecs, "user.name"),
        "source_ip": _at(view.ecs, "source.ip"),
        "event_name": _at(view.ecs, "event.action"),
        "resources": _resources(view),
        "event": shown.decode("utf-8", "replace"),
    }


_NAMED = {
    "aws:cloudtrail:entry": _cloudtrail,
    "azure:activitylog:entry": _activity,
    "gcp:log:entry": _gcp,
}


def _at(tree: Mapping[str, Any], path: str) -> str:
    node: Any = tree
    for part in path.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return _text(node)


def _text(value: Any) -> str:
    if isinstance(value, list) and value:
        value = value[0]
    return "" if value is None or isinstance(value, Mapping | list) else str(value)
