"""Entra ID Protection: risk detections and risky users.

Format:   risk logs, diagnostic settings schema; Microsoft Graph v1.0 `riskDetection` and `riskyUser`
          https://learn.microsoft.com/graph/api/resources/riskdetection
Bodies:   Event Hubs and diagnostic settings (``{"records": […]}``), blobs with one record a line, Microsoft Graph
          (``{"value": […]}``), rows of the tables AADUserRiskEvents and AADRiskyUsers.
Fixtures: tests/ingest/formats/azure_identity_protection/golden/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ingest.formats.azure_identity_protection.fields import FIELDS
from ingest.formats.azure_identity_protection.mapping import document_of
from ingest.formats.azure_records.kinds import RISK
from ingest.formats.azure_records.reading import AzureFormat, Parts
from ingest.formats.contract import LogSource
from ingest.parsing.scalars import mapping_of, text_of

_PROPERTIES = """
    riskEventType riskType riskState riskLevel riskDetail source detectionTimingType activity ipAddress userId
    userPrincipalName userDisplayName
"""
_NAMES = _PROPERTIES.split()
_ALIASES = {
    **{name: f"properties.{name}" for name in _NAMES},
    **{name[:1].upper() + name[1:]: f"properties.{name}" for name in _NAMES},
}


def _own_id(event: Mapping[str, Any]) -> str | None:
    """Id and time of the last update, because a detection is written again when its state changes.

    None without such a time, and for a risky user, whose id is the user's.
    """
    properties = mapping_of(event.get("properties"))
    id_, updated = text_of(properties.get("id")), text_of(properties.get("lastUpdatedDateTime"))
    return f"{id_}:{updated}" if id_ and updated else None


def _vendor_of(event: dict[str, Any]) -> Mapping[str, Any]:
    return event


FORMAT = AzureFormat(
    name=RISK,
    dataset="azure.identity_protection",
    version="1",
    log_source=LogSource(product="azure", service="riskdetection", also=("pim",)),
    fields=FIELDS,
    aliases=MappingProxyType(_ALIASES),
    parts=Parts(
        own_id=_own_id,
        document_of=document_of,
        vendor_of=_vendor_of,
        telltale=re.compile(
            rb'"category"\s*:\s*"(?:UserRiskEvents|RiskyUsers|ServicePrincipalRiskEvents|RiskyServicePrincipals)"',
            re.IGNORECASE,
        ),
    ),
)
