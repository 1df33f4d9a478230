"""From a record of CloudWatch to its ECS document (reference/ecs-mapping.md §8.3, §9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.document import utc_millis
from ingest.formats.aws_cloudwatch.records import Opened
from ingest.formats.contract import Document
from ingest.parsing.flattened import flattened
from ingest.parsing.scalars import mapping_of, picked, text_of, texts_of
from ingest.parsing.times import parse_time
from ingest.schema.errors import MalformedRecord

_ALARM = "ALARM"
_CHANGED = "Alarm Configuration Change"
_LONGEST_MESSAGE = 32_000  # characters; the whole message is in event.original
_NOTICE = (
    ("AlarmName", "name"),
    ("AlarmArn", "arn"),
    ("NewStateValue", "state"),
    ("OldStateValue", "previous_state"),
    ("AlarmDescription", "description"),
)


def document_of(opened: Opened, own_id: str) -> Document:
    """The ECS document of a record.

    Args:
        opened: What it holds.
        own_id: `event.id`.

    Raises:
        MalformedRecord: No time is in it.
    """
    if opened.event:
        document = _of_event(opened)
    elif opened.alarm:
        document = _of_notice(opened.alarm)
    else:
        document = _of_log_event(opened)
    document["event"].update(module="aws", dataset="aws.cloudwatch_logs", id=own_id)
    if opened.logged:
        place = picked(opened.logged.beside, (("log_group", "log_group"), ("log_stream", "log_stream")))
        cloudwatch = {**place, **document.get("aws", {}).get("cloudwatch", {})}
        document["aws"] = {"cloudwatch": cloudwatch} if cloudwatch else {}
    return {name: part for name, part in document.items() if part}


def _event(action: str, provider: str, **others: Any) -> dict[str, Any]:
    return {
        "kind": "event",
        "category": ["api"],
        "type": ["info"],
        "outcome": "unknown",
        "action": action,
        "provider": provider,
        **others,
    }


def _of_log_event(opened: Opened) -> dict[str, Any]:
    logged = opened.logged
    if logged is None or not logged.at:
        raise _timeless("timestamp")
    told = flattened(opened.message)
    owner = text_of(logged.beside.get("owner"))
    return {
        "@timestamp": logged.at,
        "message": logged.message[:_LONGEST_MESSAGE],
        "event": _event("log", "logs.amazonaws.com"),
        "aws": {"cloudwatch": {"message": told}} if told else {},
        "cloud": _cloud(owner, None, "logs"),
    }


def _of_event(opened: Opened) -> dict[str, Any]:
    event, detail = opened.event, mapping_of(opened.event.get("detail"))
    at = _time(event.get("time")) or (opened.logged.at if opened.logged else "")
    if not at:
        raise _timeless("time")
    kind = text_of(event.get("detail-type")) or "unknown"
    source = text_of(event.get("source")) or "events.amazonaws.com"
    resources = texts_of(event.get("resources"))
    shown = {
        "detail_type": kind,
        "source": source,
        "resources": resources,
        "detail": flattened(detail),
    }
    alarm = _alarm_in(detail, resources) if source == "aws.cloudwatch" else {}
    parts = {"event": {name: part for name, part in shown.items() if part}, "alarm": alarm}
    described = _event(kind, source)
    if alarm.get("state") == _ALARM:
        described["kind"] = "alert"
    if kind.endswith(_CHANGED):
        described.update(category=["configuration"], type=["change"])
    document: dict[str, Any] = {
        "@timestamp": at,
        "event": described,
        "aws": {"cloudwatch": {name: part for name, part in parts.items() if part}},
        "cloud": _cloud(text_of(event.get("account")), text_of(event.get("region")), source.removeprefix("aws.")),
    }
    reason = text_of(mapping_of(detail.get("state")).get("reason"))
    if reason:
        document["message"] = reason[:_LONGEST_MESSAGE]
    if resources:
        document["related"] = {"entity": sorted(set(resources))}
    instance = text_of(detail.get("instance-id"))
    if instance:
        document["host"] = {"id": instance}
        document["cloud"]["instance"] = {"id": instance}
        document.setdefault("related", {})["hosts"] = [instance]
    return document


def _alarm_in(detail: Mapping[str, Any], resources: list[str]) -> dict[str, Any]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html ."""
    name = text_of(detail.get("alarmName"))
    if not name:
        return {}
    told = (
        ("name", name),
        ("arn", next((one for one in resources if ":alarm:" in one), None)),
        ("state", text_of(mapping_of(detail.get("state")).get("value"))),
        ("previous_state", text_of(mapping_of(detail.get("previousState")).get("value"))),
        ("description", text_of(mapping_of(detail.get("configuration")).get("description"))),
    )
    return {part: text for part, text in told if text}


def _of_notice(notice: Mapping[str, Any]) -> dict[str, Any]:
    at = _time(notice.get("StateChangeTime"))
    if not at:
        raise _timeless("StateChangeTime")
    alarm = picked(notice, _NOTICE)
    arn = text_of(notice.get("AlarmArn")) or ""
    parts = arn.split(":")
    region = parts[3] if len(parts) > 4 and parts[3] else text_of(notice.get("Region"))  # noqa: PLR2004 - of an ARN
    described = _event("CloudWatch Alarm State Change", "aws.cloudwatch")
    if alarm.get("state") == _ALARM:
        described["kind"] = "alert"
    return {
        "@timestamp": at,
        "message": text_of(notice.get("NewStateReason")),
        "event": described,
        "aws": {"cloudwatch": {"alarm": alarm}},
        "cloud": _cloud(text_of(notice.get("AWSAccountId")), region, "cloudwatch"),
        "related": {"entity": [arn]} if arn else {},
    }


def _cloud(account: str | None, region: str | None, service: str) -> dict[str, Any]:
    found: dict[str, Any] = {"provider": "aws", "service": {"name": service}}
    if account:
        found["account"] = {"id": account}
    if region:
        found["region"] = region
    return found


def _time(value: Any) -> str:
    parsed = parse_time(value) if value.__class__ is str else None
    return utc_millis(parsed.moment) if parsed else ""


def _timeless(where: str) -> MalformedRecord:
    return MalformedRecord("reading CloudWatch record: it has no readable time", where=where)
