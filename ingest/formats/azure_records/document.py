"""The parts of a document that all of Azure's logs share.

https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-schema
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ingest.formats.azure_records.related import Related, split_name
from ingest.formats.azure_records.resources import resource_of
from ingest.formats.azure_records.values import first_text, named_value
from ingest.formats.azure_records.when import event_time
from ingest.formats.contract import Document
from ingest.parsing.addresses import ip_of
from ingest.parsing.scalars import long_of, mapping_of, text_of

SUCCEEDED = frozenset({"success", "succeeded"})
FAILED = frozenset({"failure", "failed"})
_NANOSECONDS = 1_000_000
_LONGEST_DURATION = 9_000_000_000_000  # milliseconds; more would not fit a long as nanoseconds
_PORT = re.compile(r"(?:[0-9.]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_MOST_PORT = 65_535
_LEVELS = {"1": "Critical", "2": "Error", "3": "Warning", "4": "Informational", "5": "Verbose"}


class Draft:
    """A document in the making.

    Attributes:
        event: The pruned record in the shape of the resource log schema.
        properties: Its properties.
        related: What is collected for pivoting.
        document: The parts that are done.
    """

    def __init__(self, event: Mapping[str, Any], own_id: str) -> None:
        """Begin with what every record has: time, id, duration, tenant, subscription, resource, level.

        Raises:
            MalformedRecord: It can't be placed in time.
        """
        self.event = event
        self.properties = mapping_of(event.get("properties"))
        self.related = Related()
        moment, marks = event_time(event)
        self.azure: dict[str, Any] = {}
        self.document: Document = {
            "@timestamp": moment,
            "event": {"kind": "event", "id": own_id},
            "cloud": {"provider": "azure"},
            "azure": self.azure,
        }
        if marks:
            self.document["skytrail"] = {"time": {"marks": list(marks)}}
        self._place()

    def _place(self) -> None:
        event, cloud = self.event, self.document["cloud"]
        duration = long_of(event.get("durationMs"))
        if duration is not None and 0 <= duration <= _LONGEST_DURATION:
            self.document["event"]["duration"] = duration * _NANOSECONDS
        correlation = text_of(event.get("correlationId"))
        if correlation:
            self.azure["correlation_id"] = correlation
            self.document.setdefault("skytrail", {})["session"] = {"key": correlation}
        resource_id = text_of(event.get("resourceId"))
        tenant = text_of(event.get("tenantId"))
        subscription = text_of(event.get("subscriptionId"))
        if resource_id:
            resource = resource_of(resource_id)
            self.azure["resource"] = dict(resource.fields)
            subscription, tenant = resource.subscription or subscription, tenant or resource.tenant
            self.related.entity(resource_id)
        if subscription:
            self.azure["subscription_id"] = subscription
            cloud["account"] = {"id": subscription.lower()}  # activity logs write it in capitals
        if tenant:
            self.azure["tenant_id"] = tenant
            self.document["organization"] = {"id": tenant}
        level = text_of(event.get("level"))
        if level:
            self.document["log"] = {"level": level}

    def name_level(self) -> None:
        """Write the level of an activity or platform record as its word."""
        level = self.document.get("log", {}).get("level")
        if level in _LEVELS:
            self.document["log"]["level"] = _LEVELS[level]

    def classify(self, category: str, types: tuple[str, ...], outcome: str | None) -> None:
        """Set `event.category`, `event.type` and, where there is one, `event.outcome`."""
        found = self.document["event"]
        found.update(category=[category], type=list(types))
        if outcome:
            found["outcome"] = outcome

    def act(self, action: str | None, provider: str) -> None:
        """Set `event.action` and `event.provider`."""
        self.document["event"]["action"] = action or "unknown"
        self.document["event"]["provider"] = provider

    def come_from(self, address: str | None) -> None:
        """Set `source` and `client` from an address as the source wrote it, perhaps with a port."""
        if not address:
            return
        source: dict[str, Any] = {"address": address}
        ip = ip_of(address)
        if ip:
            source["ip"] = ip
            self.document["client"] = {"ip": ip}
            self.related.ip(ip)
            port = _PORT.fullmatch(address)
            if port and int(port.group(1)) <= _MOST_PORT:
                source["port"] = int(port.group(1))
        self.document["source"] = source

    def user(self, name: str | None, full_name: str | None = None, id_: str | None = None) -> None:
        """Set `user` from a principal name (`a@b`, a GUID, the name of an application)."""
        found: dict[str, Any] = {}
        if name:
            found["name"], domain = split_name(name)
            if domain:
                found["domain"] = domain
                found["email"] = f"{found['name']}@{domain}"
        if full_name:
            found["full_name"] = full_name
        if id_:
            found["id"] = id_
        if found:
            self.document["user"] = found
        self.related.user(name, full_name)
        self.related.entity(id_)

    def principal(self, key: str | None, kind: str, display: str | None) -> None:
        """Set the one principal across clouds: `entra:<object id>`."""
        if key:
            self.document.setdefault("skytrail", {})["principal"] = {
                "key": f"entra:{key}",
                "type": kind,
                "display": display or key,
            }

    def finish(self) -> Document:
        """The document, with what was collected for pivoting."""
        related = self.related.document()
        if related:
            self.document["related"] = related
        if not self.azure:
            del self.document["azure"]
        return self.document


def texts(source: Mapping[str, Any], *pairs: tuple[str, str]) -> dict[str, Any]:
    """The members named on the left as text under the names on the right; absent ones and objects are left out."""
    found: dict[str, Any] = {}
    for name, target in pairs:
        text = text_of(named_value(source.get(name)))
        if text is not None:
            found[target] = text
    return found


ENVELOPE = (
    ("operationName", "operation_name"),
    ("operationVersion", "operation_version"),
    ("category", "category"),
    ("resultType", "result_type"),
    ("resultSignature", "result_signature"),
    ("resultDescription", "result_description"),
)
"""What all four write under the same names."""


def outcome_word(word: str | None) -> str | None:
    """`success` or `failure` of Azure's words for them; None for anything else (`Start`, `Accepted`)."""
    lowered = (word or "").lower()
    if lowered in SUCCEEDED:
        return "success"
    return "failure" if lowered in FAILED else None


def is_forbidden(event: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether a failure says that the caller lacked the right."""
    told = (
        text_of(event.get("resultSignature")),
        text_of(event.get("statusCode")),
        first_text(properties, "statusCode", "httpStatusCode"),
    )
    for text in told:
        word = (text or "").lower()
        if word in ("403", "forbidden", "unauthorized") or "authorizationfailed" in word or "forbidden" in word:
            return True
    return False
