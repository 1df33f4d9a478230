"""CloudTrail events and Insight events as ECS documents.

Field names are those of Elastic's AWS integration, with our superset beside them. Everything is written only here and
in the modules that this one calls; the pipeline adds receipt, identity and the original bytes (`ingest/document.py`).

No database of places and networks is shipped, so `source.geo` and `source.as` are not written.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.aws_cloudtrail.actor import Actor, actor_of
from ingest.formats.aws_cloudtrail.bodies import bodies_of, flattened_of
from ingest.formats.aws_cloudtrail.classify import is_denied, kinds_of, outcome_of
from ingest.formats.aws_cloudtrail.digest import digest_document, is_digest
from ingest.formats.aws_cloudtrail.pods import orchestrator_of
from ingest.formats.aws_cloudtrail.policies import policy_of
from ingest.formats.aws_cloudtrail.records import Opened
from ingest.formats.aws_cloudtrail.related import Related
from ingest.formats.aws_cloudtrail.targets import resources_of, target_account, targets_of
from ingest.formats.aws_cloudtrail.user_agents import user_agent_of
from ingest.formats.aws_cloudtrail.values import (
    account_of,
    boolean_of,
    mapping_of,
    optional_text,
    text_of,
    texts,
)
from ingest.formats.aws_cloudtrail.when import event_time
from ingest.formats.contract import Document
from ingest.parsing.addresses import ip_of
from ingest.parsing.java_text import java_text
from ingest.parsing.prune import prune

CLOUDTRAIL = "cloudtrail.amazonaws.com"
UNKNOWN = "unknown"
_LONGEST_NAME = 128  # characters that decide on the kind of an event; bounds what is memoised

_TEXTS = (
    ("eventVersion", "event_version"),
    ("eventCategory", "event_category"),
    ("eventType", "event_type"),
    ("apiVersion", "api_version"),
    ("errorCode", "error_code"),
    ("errorMessage", "error_message"),
    ("requestID", "request_id"),
    ("sharedEventID", "shared_event_id"),
    ("vpcEndpointId", "vpc_endpoint_id"),
    ("managementEvent", "management_event"),
    ("sessionCredentialFromConsole", "session_credential_from_console"),
)

_ACCOUNTS = (("recipientAccountId", "recipient_account_id"), ("vpcEndpointAccountId", "vpc_endpoint_account_id"))


def document_of(opened: Opened, own_id: str) -> Document:
    """Map an opened record.

    Args:
        opened: The record, opened but not pruned.
        own_id: What becomes `event.id`.

    Raises:
        MalformedRecord: It can't be placed in time.
    """
    pruned = Opened(prune(opened.event), opened.wrapper)
    if is_digest(pruned.event):
        return digest_document(pruned, own_id)
    return _event_document(pruned, own_id)


def _event_document(opened: Opened, own_id: str) -> Document:
    event = opened.event
    moment, marks = event_time(opened)
    related = Related()
    actor = actor_of(event, related)
    resources = resources_of(event)
    related.entities.update([resource["arn"] for resource in resources if "arn" in resource])
    vendor = _vendor(event, actor, resources)
    document: Document = {
        "@timestamp": moment,
        "event": _event(event, own_id, vendor.get("error_code")),
        "cloud": _cloud(event, actor, resources),
    }
    if vendor:
        document["aws"] = {"cloudtrail": vendor}
    _source(event, document, related)
    if "insightDetails" in event:
        _unusual_callers(mapping_of(event["insightDetails"]), related)
    outcome = document["event"]["outcome"]
    targets = targets_of(event, related, succeeded=outcome == "success")
    user = {**actor.user, **targets.user}
    if user:
        document["user"] = user
    if targets.group:
        document["group"] = targets.group
    if len(related.hosts) == 1:
        # Only when the event concerns one host: an audit log has no host of its own.
        (instance,) = related.hosts
        document["host"] = {"id": instance}
        document["cloud"]["instance"] = {"id": instance}
    found = related.document()
    if found:
        document["related"] = found
    orchestrator = orchestrator_of(event)
    if orchestrator:
        document["orchestrator"] = orchestrator
    skytrail = _skytrail(event, actor, marks)
    if skytrail:
        document["skytrail"] = skytrail
    return document


def _unusual_callers(insight: Mapping[str, Any], related: Related) -> None:
    """Those whose calls an Insight tells of, now and in the usual time before."""
    attributions = mapping_of(insight.get("insightContext")).get("attributions")
    for one in attributions if isinstance(attributions, list) else ():
        attribution = mapping_of(one)
        if attribution.get("attribute") != "userIdentityArn":
            continue
        for period in ("insight", "baseline"):
            callers = attribution.get(period)
            for caller in callers if isinstance(callers, list) else ():
                arn = optional_text(mapping_of(caller).get("value"))
                if arn and arn.startswith("arn:"):
                    related.principal_arn(arn)


def _event(event: Mapping[str, Any], own_id: str, error_code: str | None) -> dict[str, Any]:
    if "insightDetails" in event and "eventSource" not in event:
        # An Insight tells of an unusual rate of calls, not of a call: rules on calls must not see it as one.
        provider, action = CLOUDTRAIL, optional_text(event.get("eventType")) or "AwsCloudTrailInsight"
    else:
        provider = optional_text(event.get("eventSource")) or UNKNOWN
        action = optional_text(event.get("eventName")) or UNKNOWN
    category, types = kinds_of(provider[:_LONGEST_NAME], action[:_LONGEST_NAME])
    return {
        "kind": "event",
        "id": own_id,
        "provider": provider,
        "action": action,
        "category": list(category),
        "type": [*types, "denied"] if is_denied(error_code) else list(types),
        "outcome": outcome_of(event),
    }


def _cloud(event: Mapping[str, Any], actor: Actor, resources: list[dict[str, str]]) -> dict[str, Any]:
    recipient = account_of(event.get("recipientAccountId"))
    account = actor.account or account_of(event.get("awsAccountId")) or recipient
    found: dict[str, Any] = {"provider": "aws"}
    if account:
        found["account"] = {"id": account}
    region = optional_text(event.get("awsRegion"))
    if region:
        found["region"] = region
    service = optional_text(event.get("eventSource"))
    if service:
        found["service"] = {"name": service.removesuffix(".amazonaws.com")}
    target = target_account(event, resources, account, recipient)
    if target:
        found["target"] = {"account": {"id": target}}
    return found


def _vendor(event: Mapping[str, Any], actor: Actor, resources: list[dict[str, str]]) -> dict[str, Any]:
    """`aws.cloudtrail`."""
    found = texts(event, _TEXTS)
    for name, target in _ACCOUNTS:
        if name in event and (account := account_of(event[name])):
            found[target] = account
    read_only = boolean_of(event.get("readOnly"))
    if read_only is not None:
        found["read_only"] = read_only
    if actor.identity:
        found["user_identity"] = actor.identity
    if resources:
        found["resources"] = resources
    found.update(bodies_of(event))
    insight = event.get("insightDetails")
    if insight.__class__ is dict:
        held = flattened_of(insight, java_text(insight))
        if held is not None:
            found.setdefault("flattened", {})["insight_details"] = held
    if event.get("eventName") == "ConsoleLogin":
        login = _console_login(mapping_of(event.get("additionalEventData")))
        if login:
            found["console_login"] = {"additional_eventdata": login}
    return found


def _console_login(data: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = texts(data, (("LoginTo", "login_to"),))
    for name, target in (("MobileVersion", "mobile_version"), ("MFAUsed", "mfa_used")):
        said = boolean_of(data.get(name))
        if said is not None:
            found[target] = said
    return found


def _source(event: Mapping[str, Any], document: Document, related: Related) -> None:
    """`source`, `user_agent`, `tls`."""
    address = optional_text(event.get("sourceIPAddress"))
    if address:
        source: dict[str, Any] = {"address": address}
        ip = ip_of(address)
        if ip:
            source["ip"] = ip
            related.ips.add(ip)
        document["source"] = source
    agent = optional_text(event.get("userAgent"))
    if agent:
        document["user_agent"] = user_agent_of(agent)
    details = mapping_of(event.get("tlsDetails"))
    if details:
        tls = _tls(details)
        if tls:
            document["tls"] = tls


def _tls(details: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = texts(details, (("cipherSuite", "cipher"),))
    version = optional_text(details.get("tlsVersion"))
    if version:
        found["version_protocol"] = "tls"
        found["version"] = version.removeprefix("TLSv")
    host = details.get("clientProvidedHostHeader")
    if host is not None:
        found["client"] = {"server_name": text_of(host)}
    return found


def _skytrail(event: Mapping[str, Any], actor: Actor, marks: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if actor.principal:
        found["principal"] = actor.principal
    if actor.access_key:
        found["session"] = {"key": actor.access_key}
    policy = policy_of(event)
    if policy:
        found["policy"] = policy
    if marks:
        found["time"] = {"marks": list(marks)}
    return found
