"""Entra audit: what was done in the directory, to users, groups, roles, applications and policies, and by PIM.

Format:   audit logs, diagnostic settings schema; Microsoft Graph v1.0 `directoryAudit`
          https://learn.microsoft.com/entra/identity/monitoring-health/concept-audit-logs
          https://learn.microsoft.com/graph/api/resources/directoryaudit
Bodies:   Event Hubs and diagnostic settings (``{"records": […]}``), blobs with one record a line, Microsoft Graph
          (``{"value": […]}``), rows of the table AuditLogs.
Fixtures: tests/ingest/formats/azure_auditlogs/golden/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ingest.formats.azure_auditlogs.fields import FIELDS
from ingest.formats.azure_auditlogs.mapping import document_of
from ingest.formats.azure_auditlogs.portal import ALIASES, vendor_of
from ingest.formats.azure_records.kinds import AUDIT
from ingest.formats.azure_records.reading import AzureFormat, Parts
from ingest.formats.azure_records.values import first_text
from ingest.formats.contract import LogSource
from ingest.parsing.scalars import mapping_of


def _own_id(event: Mapping[str, Any]) -> str | None:
    return first_text(mapping_of(event.get("properties")), "id") or first_text(event, "id")


FORMAT = AzureFormat(
    name=AUDIT,
    dataset="azure.auditlogs",
    version="1",
    log_source=LogSource(product="azure", service="auditlogs"),
    fields=FIELDS,
    aliases=ALIASES,
    parts=Parts(
        own_id=_own_id,
        document_of=document_of,
        vendor_of=vendor_of,
        telltale=re.compile(rb'"category"\s*:\s*"AuditLogs"|"loggedByService"\s*:', re.IGNORECASE),
    ),
)
