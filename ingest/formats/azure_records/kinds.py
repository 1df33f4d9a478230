"""Which log an Azure record belongs to: one Event Hub and one storage account carry several.

The category decides; where a channel leaves it out (Microsoft Graph, Log Analytics) the table's name or the members
that only one log has.

https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema#categories
https://learn.microsoft.com/entra/identity/monitoring-health/concept-diagnostic-settings-logs-options
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.azure_records.values import named_value, object_of
from ingest.parsing.scalars import text_of

ACTIVITY = "azure.activitylogs"
SIGN_IN = "azure.signinlogs"
AUDIT = "azure.auditlogs"
PLATFORM = "azure.platformlogs"
RISK = "azure.identity_protection"
KUBERNETES = "kubernetes.audit"

_ACTIVITY_NAMES = """
    administrative security servicehealth alert recommendation policy autoscale resourcehealth write delete action
"""
_ACTIVITY_CATEGORIES = frozenset(_ACTIVITY_NAMES.split())
_RISK_NAMES = "userriskevents riskyusers serviceprincipalriskevents riskyserviceprincipals"
_RISK_CATEGORIES = frozenset(_RISK_NAMES.split())
_KUBERNETES_CATEGORIES = frozenset({"kube-audit", "kube-audit-admin"})
_VERBS = ("/write", "/delete", "/action", "/read")
_SIGN_IN_MARKS = frozenset(
    {"conditionalAccessStatus", "isInteractive", "clientAppUsed", "incomingTokenType", "authenticationProtocol"}
)
_RISK_MARKS = frozenset({"riskEventType", "riskType"})


def kind_of(record: Mapping[str, Any]) -> str | None:
    """The name of the format a record belongs to, or None when it is no Azure record.

    Args:
        record: With names in Azure's spelling (`spelling.respelled`).
    """
    category = (text_of(named_value(record.get("category"))) or "").lower()
    table = (text_of(record.get("type")) or "").lower()
    if category.endswith("signinlogs") or (table.endswith("signinlogs") and "timeGenerated" in record):
        return SIGN_IN
    if category in _KUBERNETES_CATEGORIES:
        return KUBERNETES
    inner = object_of(record.get("properties"))
    if category == "auditlogs" or (table == "auditlogs" and "timeGenerated" in record):
        return AUDIT
    if _is_audit(record) or (inner is not None and _is_audit(inner)):
        return AUDIT
    if category in _RISK_CATEGORIES or _is_risk(record if inner is None else inner):
        return RISK
    if table == "azureactivity" or (category in _ACTIVITY_CATEGORIES and _names_an_operation(record)):
        return ACTIVITY
    return _by_members(record, record if inner is None else inner, category)


def _by_members(record: Mapping[str, Any], inner: Mapping[str, Any], category: str) -> str | None:
    if not category and _is_sign_in(inner):
        return SIGN_IN
    if "eventDataId" in record or ("authorization" in record and "claims" in record):
        return ACTIVITY
    operation = text_of(named_value(record.get("operationName")))
    resource = (text_of(record.get("resourceId")) or "").lower()
    if not category and operation and operation.lower().endswith(_VERBS) and "subscriptions/" in resource:
        return ACTIVITY
    if not resource and not _is_storage(record, inner):
        return None
    named = operation or text_of(record.get("eventName"))
    return PLATFORM if category or (named and ("properties" in record or "timeGenerated" in record)) else None


def _names_an_operation(record: Mapping[str, Any]) -> bool:
    return "operationName" in record or "operationNameValue" in record or "eventDataId" in record


def _is_audit(members: Mapping[str, Any]) -> bool:
    if "loggedByService" in members:
        return True
    return "initiatedBy" in members and ("targetResources" in members or "activityDisplayName" in members)


def _is_risk(members: Mapping[str, Any]) -> bool:
    if "riskState" not in members:
        return False
    return "riskLastUpdatedDateTime" in members or not _RISK_MARKS.isdisjoint(members)


def _is_sign_in(members: Mapping[str, Any]) -> bool:
    if "createdDateTime" not in members and "ipAddress" not in members:
        return False
    return ("userPrincipalName" in members or "servicePrincipalId" in members) and not _SIGN_IN_MARKS.isdisjoint(
        members
    )


def _is_storage(record: Mapping[str, Any], inner: Mapping[str, Any]) -> bool:
    """Storage records that an export cut down to what happened."""
    return "accountName" in inner and ("objectKey" in inner or "uri" in record or "statusText" in record)
