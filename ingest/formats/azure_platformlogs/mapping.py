"""From a resource log record to its ECS document (field names of Elastic's integration, our superset beside them).

https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-schema
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ingest.formats.aws_cloudtrail.user_agents import user_agent_of
from ingest.formats.azure_platformlogs.caller import caller_of
from ingest.formats.azure_platformlogs.classify import kinds_of, outcome_of, status_code
from ingest.formats.azure_records.document import ENVELOPE, Draft, is_forbidden, texts
from ingest.formats.azure_records.trees import held
from ingest.formats.azure_records.values import first_text, opened
from ingest.formats.contract import Document
from ingest.parsing.scalars import mapping_of, text_of

_OURS = (
    ("tenantId", "tenant_id"),
    ("status", "status"),
    ("statusCode", "status_code"),
    ("statusText", "status_text"),
    ("protocol", "protocol"),
    ("ActivityId", "ActivityId"),
    ("caller", "Caller"),
    ("Environment", "Environment"),
    ("ScaleUnit", "ScaleUnit"),
    ("eventTimeString", "EventTimeString"),
)
_TLS = re.compile(r"TLS ?([0-9])[._]([0-9])", re.IGNORECASE)  # storage writes `TLS 1.3`, Key Vault `TLS1_3`
_LONGEST_NAME = 256  # characters that decide on the kind of an event; bounds what is memoised
_LONGEST_URI = 8000  # characters


def document_of(event: Mapping[str, Any], own_id: str) -> Document:
    """Map a pruned record.

    Raises:
        MalformedRecord: It can't be placed in time.
    """
    draft = Draft(event, own_id)
    draft.name_level()
    properties = draft.properties
    vendor = texts(event, *ENVELOPE, *_OURS)
    vendor["event_category"] = text_of(properties.get("eventCategory")) or "Administrative"
    _log(draft, vendor)
    draft.azure["platformlogs"] = vendor
    operation = vendor.get("operation_name")
    provider = draft.azure.get("resource", {}).get("provider", "").partition("/")[0]
    draft.act(operation, provider or vendor.get("category") or "Azure Monitor")
    category, types = kinds_of(
        vendor.get("category", "")[:_LONGEST_NAME].lower(), (operation or "")[:_LONGEST_NAME].lower()
    )
    outcome = outcome_of(event)
    if outcome == "failure" and is_forbidden(event, properties):
        types = (*types, "denied")
    draft.classify(category, types, outcome)
    address = first_text(event, "callerIpAddress")
    draft.come_from(address or first_text(properties, "clientIp", "clientIP", "callerIpAddress"))
    _who(event, vendor, draft)
    _request(event, draft)
    _cloud(event, draft)
    return draft.finish()


def _log(draft: Draft, vendor: dict[str, Any]) -> None:
    """Properties; the line of a cluster's log inside them is parsed, or is the message."""
    properties = dict(draft.properties)
    line = properties.get("log")
    if line.__class__ is str:
        inner = opened(line)
        if inner is line:
            draft.document["message"] = line
        properties["log"] = inner
    kept = held(properties, snaked=False)
    if kept:
        vendor["properties"] = kept


def _who(event: Mapping[str, Any], vendor: dict[str, Any], draft: Draft) -> None:
    caller = caller_of(event)
    plain = text_of(event.get("identity"))
    if plain:
        vendor["identity_name"] = plain
    kept = held(mapping_of(event.get("identity")), snaked=False)
    if kept:
        vendor["identity"] = kept
    draft.user(caller.name, None, caller.object_id)
    draft.related.entity(caller.app_id)
    app = f"app:{caller.app_id}" if caller.app_id else None
    person = caller.name is not None and "@" in caller.name
    kind = "user" if person else "service_principal" if caller.app_id else "unknown"
    draft.principal(caller.object_id or caller.name or app, kind, caller.name or caller.app_id)


def _request(event: Mapping[str, Any], draft: Draft) -> None:
    """The HTTP request of Key Vault and storage."""
    properties, document = draft.properties, draft.document
    uri = text_of(event.get("uri")) or first_text(properties, "requestUri", "uri")
    if uri and len(uri) <= _LONGEST_URI:
        document["url"] = _url(uri)
    agent = first_text(properties, "userAgentHeader", "clientInfo", "userAgent")
    if agent:
        document["user_agent"] = user_agent_of(agent)
    code = status_code(event)
    if code is not None:
        document["http"] = {"response": {"status_code": code}}
    version = _TLS.fullmatch(text_of(properties.get("tlsVersion")) or "")
    if version:
        document["tls"] = {"version_protocol": "tls", "version": f"{version[1]}.{version[2]}"}
    key = text_of(properties.get("objectKey"))
    if key:
        document["file"] = {"path": key}
    draft.related.entity(key, first_text(properties, "accountName"), text_of(properties.get("id")))


def _url(uri: str) -> dict[str, str]:
    found = {"original": uri}
    try:
        parts = urlsplit(uri)
    except ValueError:
        return found  # brackets that hold no address: the text is all there is
    read = {"domain": parts.hostname, "path": parts.path, "query": parts.query}
    return {**found, **{name: value for name, value in read.items() if value}}


def _cloud(event: Mapping[str, Any], draft: Draft) -> None:
    cloud = draft.document["cloud"]
    location = text_of(event.get("location"))
    if location:
        draft.document["geo"] = {"name": location}
    region = text_of(event.get("region")) or location
    if region:
        cloud["region"] = region
    provider = draft.azure.get("resource", {}).get("provider")
    if provider:
        cloud["service"] = {"name": provider.partition("/")[0].lower()}
