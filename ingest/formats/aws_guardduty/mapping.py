"""From a finding to its ECS document (reference/ecs-mapping.md §8.3, §9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.document import utc_millis
from ingest.formats.aws_guardduty.about import About, about
from ingest.formats.aws_guardduty.observed import Observed, observed_in
from ingest.formats.aws_guardduty.records import Opened
from ingest.formats.contract import Document
from ingest.parsing.flattened import flattened
from ingest.parsing.scalars import boolean_of, long_of, mapping_of, picked, text_of
from ingest.parsing.times import parse_time
from ingest.parsing.user_agents import user_agent_of
from ingest.schema.errors import MalformedRecord

_TEXTS = (
    ("accountId", "account_id"),
    ("arn", "arn"),
    ("id", "id"),
    ("partition", "partition"),
    ("region", "region"),
    ("schemaVersion", "schema_version"),
    ("type", "type"),
    ("title", "title"),
    ("description", "description"),
)
_SERVICE = (("detectorId", "detector_id"), ("featureName", "feature_name"), ("resourceRole", "resource_role"))
# https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-severity-levels.html; the numbers are Kibana's
_LEVELS = ((9.0, "Critical", 99), (7.0, "High", 73), (4.0, "Medium", 47), (0.0, "Low", 21))
_MOST, _MOST_SURE = 10.0, 100.0


def document_of(opened: Opened) -> Document:
    """The ECS document of a finding.

    Raises:
        MalformedRecord: No time is in it.
    """
    finding = opened.finding
    resource, service = mapping_of(finding.get("resource")), mapping_of(finding.get("service"))
    subject, seen = about(resource), observed_in(mapping_of(service.get("action")))
    moment, marks = _event_time(opened, service)
    kind = text_of(finding.get("type")) or ""
    document: Document = {
        "@timestamp": moment,
        "message": text_of(finding.get("title")) or kind,
        "event": _event(finding, service, seen),
        "rule": {"category": kind.partition(":")[0], "ruleset": kind.partition("/")[0], "name": kind},
        "aws": _vendor(opened, resource, service, subject),
        "cloud": _cloud(finding, seen, subject),
        "source": seen.source,
        "destination": seen.destination,
        "network": seen.network,
        "dns": seen.dns,
        "user": subject.user,
        "host": {"id": subject.instance} if subject.instance else {},
        "container": subject.container,
        "orchestrator": subject.orchestrator,
        "related": _related(finding, seen, subject),
        "skytrail": _skytrail(subject, marks),
    }
    if seen.user_agent:
        document["user_agent"] = user_agent_of(seen.user_agent)
    return {name: part for name, part in document.items() if part}


def _event_time(opened: Opened, service: Mapping[str, Any]) -> tuple[str, list[str]]:
    """When the finding was last changed: an update is an event of its own.

    Raises:
        MalformedRecord: No time is in the finding.
    """
    finding = opened.finding
    others = (
        ("updatedAt", finding.get("updatedAt")),
        ("eventLastSeen", service.get("eventLastSeen")),
        ("createdAt", finding.get("createdAt")),
        ("the log group", opened.logged.at if opened.logged else None),
    )
    for place, value in others:
        found = _time(value)
        if found:
            return found, [] if place == "updatedAt" else ["missing_event_time", f"taken from {place}"]
    raise MalformedRecord("reading GuardDuty finding: it has no readable time", where="updatedAt")


def _time(value: Any) -> str | None:
    parsed = parse_time(value) if value.__class__ is str else None
    return utc_millis(parsed.moment) if parsed else None


def _severity(value: Any) -> tuple[float, str, int] | None:
    """The number, its name, and Kibana's number."""
    text = text_of(value)
    try:
        number = float(text) if text else -1.0
    except ValueError:
        return None
    if not 0 <= number <= _MOST:
        return None
    return next((number, name, level) for least, name, level in _LEVELS if number >= least)


def _event(finding: Mapping[str, Any], service: Mapping[str, Any], seen: Observed) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": "alert",
        "category": ["intrusion_detection"],
        "type": ["info"],
        "outcome": "failure" if seen.failed else "unknown",
        "action": text_of(mapping_of(service.get("action")).get("actionType")) or text_of(finding.get("type")),
        "provider": "guardduty",
        "module": "aws",
        "dataset": "aws.guardduty",
        "id": text_of(finding.get("id")),
    }
    severity = _severity(finding.get("severity"))
    if severity:
        found["severity"] = severity[2]
    for name, key in (("start", "eventFirstSeen"), ("end", "eventLastSeen")):
        moment = _time(service.get(key))
        if moment:
            found[name] = moment
    return found


def _vendor(opened: Opened, resource: Mapping[str, Any], service: Mapping[str, Any], subject: About) -> dict[str, Any]:
    finding = opened.finding
    found: dict[str, Any] = picked(finding, _TEXTS)
    for name, key in (("created_at", "createdAt"), ("updated_at", "updatedAt")):
        moment = _time(finding.get(key))
        if moment:
            found[name] = moment
    severity = _severity(finding.get("severity"))
    if severity:
        found["severity"] = {"code": severity[0], "value": severity[1]}
    confidence = finding.get("confidence")
    if confidence.__class__ in (int, float) and 0 <= confidence <= _MOST_SURE:
        found["confidence"] = float(confidence)
    found["resource"] = _pruned(
        {"type": text_of(resource.get("resourceType")), "access_key_details": subject.access_key}
    )
    kind = text_of(mapping_of(service.get("action")).get("actionType"))
    found["service"] = _pruned(
        {
            **picked(service, _SERVICE),
            "action": {"type": kind} if kind else {},
            "archived": boolean_of(service.get("archived")),
            "count": long_of(service.get("count")),
        }
    )
    found["flattened"] = _pruned({"resource": flattened(resource), "service": flattened(service)})
    parts: dict[str, Any] = {"guardduty": _pruned(found)}
    if opened.logged:
        parts["cloudwatch"] = picked(opened.logged.beside, (("log_group", "log_group"), ("log_stream", "log_stream")))
    return _pruned(parts)


def _pruned(parts: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part not in (None, "", {})}


def _cloud(finding: Mapping[str, Any], seen: Observed, subject: About) -> dict[str, Any]:
    found: dict[str, Any] = {"provider": "aws", "service": {"name": seen.service or "guardduty"}}
    account, region = text_of(finding.get("accountId")), text_of(finding.get("region"))
    if account:
        found["account"] = {"id": account}
    if region:
        found["region"] = region
    if subject.instance:
        found["instance"] = {"id": subject.instance}
    return found


def _related(finding: Mapping[str, Any], seen: Observed, subject: About) -> dict[str, list[str]]:
    lists = (
        ("ip", seen.ips),
        ("user", subject.users),
        ("hosts", {subject.instance, seen.dns.get("question", {}).get("name")}),
        ("entity", {*subject.entities, text_of(finding.get("arn"))}),
    )
    return {name: told for name, values in lists if (told := sorted({value for value in values if value}))}


def _skytrail(subject: About, marks: list[str]) -> dict[str, Any]:
    session = subject.access_key.get("accesskey_id")
    return _pruned(
        {
            "principal": subject.principal,
            "session": {"key": session} if session else {},
            "time": {"marks": marks} if marks else {},
        }
    )
