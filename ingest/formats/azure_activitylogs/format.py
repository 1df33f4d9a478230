"""Azure Activity: what was done to resources through Azure Resource Manager.

Format:   activity log events, diagnostic settings schema
          https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema
Bodies:   Event Hubs and diagnostic settings (``{"records": […]}``), blobs with one record a line, the REST API
          (``{"value": […]}``), rows of the table AzureActivity, objects of the SDK for Python.
Fixtures: tests/ingest/formats/azure_activitylogs/golden/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ingest.formats.azure_activitylogs.caller import principal_name
from ingest.formats.azure_activitylogs.fields import FIELDS
from ingest.formats.azure_activitylogs.mapping import document_of
from ingest.formats.azure_records.kinds import ACTIVITY
from ingest.formats.azure_records.reading import AzureFormat, Parts
from ingest.formats.azure_records.values import first_text
from ingest.formats.contract import LogSource
from ingest.parsing.scalars import mapping_of

_ALIASES = {
    "OperationNameValue": "operationName",
    "CategoryValue": "category",
    "ResourceProviderValue": "event.provider",
    "ResourceProvider": "event.provider",
    "ActivityStatusValue": "resultType",
    "ActivityStatus": "resultType",
    "ActivitySubstatusValue": "resultSignature",
    "ActivitySubstatus": "resultSignature",
    "Status": "event.outcome",
    "SubscriptionId": "azure.subscription_id",
    "ResourceGroup": "azure.resource.group",
    "Resource": "azure.resource.name",
    "EventDataId": "properties.eventDataId",
    "Authorization": "identity.authorization",
    "Claims": "identity.claims",
    "IPAddress": "callerIpAddress",
    "properties.message": "operationName",
    "TimeGenerated": "time",
}


def _own_id(event: Mapping[str, Any]) -> str | None:
    return first_text(mapping_of(event.get("properties")), "eventDataId") or first_text(event, "eventDataId")


def _vendor_of(event: dict[str, Any]) -> Mapping[str, Any]:
    """The event with the table's column `Caller`, which the schema of the log itself does not have."""
    if event.get("caller"):
        return event
    name = principal_name(event)
    return {**event, "caller": name} if name else event


_CATEGORIES = (
    "Administrative|Security|ServiceHealth|Alert|Recommendation|Policy|Autoscale|ResourceHealth|Write|Delete|Action"
)

FORMAT = AzureFormat(
    name=ACTIVITY,
    dataset="azure.activitylogs",
    version="1",
    log_source=LogSource(product="azure", service="activitylogs"),
    fields=FIELDS,
    aliases=MappingProxyType(_ALIASES),
    parts=Parts(
        own_id=_own_id,
        document_of=document_of,
        vendor_of=_vendor_of,
        telltale=re.compile(
            rb'"category(?:Value)?"\s*:\s*(?:\{[^{}]{0,200})?"(?:%b)"|"event_?data_?id"\s*:' % _CATEGORIES.encode(),
            re.IGNORECASE,
        ),
    ),
)
