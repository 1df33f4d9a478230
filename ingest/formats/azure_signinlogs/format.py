"""Entra sign-ins: interactive, non-interactive, of service principals and of managed identities.

Format:   sign-in logs, diagnostic settings schema; Microsoft Graph v1.0 and beta `signIn`
          https://learn.microsoft.com/entra/identity/monitoring-health/concept-diagnostic-settings-logs-options
          https://learn.microsoft.com/graph/api/resources/signin
Bodies:   Event Hubs and diagnostic settings (``{"records": […]}``), blobs with one record a line, Microsoft Graph
          (``{"value": […]}``), rows of the tables SigninLogs and AAD…SignInLogs.
Fixtures: tests/ingest/formats/azure_signinlogs/golden/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ingest.formats.azure_records.kinds import SIGN_IN
from ingest.formats.azure_records.reading import AzureFormat, Parts
from ingest.formats.azure_records.values import first_text
from ingest.formats.azure_signinlogs.fields import FIELDS
from ingest.formats.azure_signinlogs.mapping import document_of
from ingest.formats.azure_signinlogs.portal import ALIASES, vendor_of
from ingest.formats.contract import LogSource
from ingest.parsing.scalars import mapping_of


def _own_id(event: Mapping[str, Any]) -> str | None:
    return first_text(mapping_of(event.get("properties")), "id")


FORMAT = AzureFormat(
    name=SIGN_IN,
    dataset="azure.signinlogs",
    version="1",
    log_source=LogSource(product="azure", service="signinlogs"),
    fields=FIELDS,
    aliases=ALIASES,
    parts=Parts(
        own_id=_own_id,
        document_of=document_of,
        vendor_of=vendor_of,
        telltale=re.compile(rb'"category"\s*:\s*"[a-z]{0,32}SignInLogs"', re.IGNORECASE),
    ),
)
