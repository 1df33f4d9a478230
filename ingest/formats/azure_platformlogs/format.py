"""Azure platform logs: what resources say about themselves, above all Key Vault, storage and Azure Kubernetes Service.

The API server's audit log of a cluster (`kube-audit`, `kube-audit-admin`) is refused here: it is `kubernetes.audit`.

Format:   resource logs, common schema
          https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-schema
Bodies:   Event Hubs and diagnostic settings (``{"records": […]}``), blobs with one record a line, rows of
          AzureDiagnostics and of tables such as StorageBlobLogs.
Fixtures: tests/ingest/formats/azure_platformlogs/golden/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ingest.formats.azure_platformlogs.fields import FIELDS
from ingest.formats.azure_platformlogs.mapping import document_of
from ingest.formats.azure_records.kinds import PLATFORM
from ingest.formats.azure_records.reading import AzureFormat, Parts
from ingest.formats.contract import LogSource

_ALIASES = {
    "CallerIPAddress": "callerIpAddress",
    "clientIP_s": "callerIpAddress",
    "requestUri_s": "properties.requestUri",
    "httpStatusCode_d": "properties.httpStatusCode",
    "id_s": "properties.id",
    "identity_claim_upn_s": "identity.claim.upn",
    "identity_claim_appid_g": "identity.claim.appid",
    "ObjectKey": "properties.objectKey",
    "AccountName": "properties.accountName",
    "UserAgentHeader": "properties.userAgentHeader",
    "AuthenticationType": "identity.type",
    "Status": "event.outcome",
    "TimeGenerated": "time",
}
_CATEGORIES = (
    "AuditEvent|Storage(?:Read|Write|Delete)|AzurePolicyEvaluationDetails|OperationalLogs|guard|kube-apiserver"
)


def _own_id(event: Mapping[str, Any]) -> None:
    """None: what these records carry are correlation ids, which several records share."""


def _vendor_of(event: dict[str, Any]) -> Mapping[str, Any]:
    return event


FORMAT = AzureFormat(
    name=PLATFORM,
    dataset="azure.platformlogs",
    version="1",
    log_source=LogSource(product="azure", service="platformlogs"),
    fields=FIELDS,
    aliases=MappingProxyType(_ALIASES),
    parts=Parts(
        own_id=_own_id,
        document_of=document_of,
        vendor_of=_vendor_of,
        telltale=re.compile(rb'"category"\s*:\s*"(?:%b)"' % _CATEGORIES.encode(), re.IGNORECASE),
    ),
)
