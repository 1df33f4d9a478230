"""Fields of Entra ID Protection documents besides the common ones: Elastic's names.

Names of Elastic's integration: https://www.elastic.co/docs/reference/integrations/azure (identity protection logs)
"""

from __future__ import annotations

from ingest.formats.azure_records.fields import AZURE_FIELDS, envelope_fields, rows
from ingest.schema.fields import Field

ROOT = "azure.identityprotection."
_PROPERTIES = f"{ROOT}properties."

FIELDS: tuple[Field, ...] = (
    *AZURE_FIELDS,
    *envelope_fields(ROOT),
    *rows(ROOT, "keyword", "identity  identity: name shown for whose risk it is"),
    *rows(
        _PROPERTIES,
        "keyword",
        """
        activity                  activity: signin or user
        correlation_id            correlationId of the sign-in
        cross_tenant_access_type  crossTenantAccessType
        detection_timing_type     detectionTimingType: realtime, offline
        home_tenant_id            homeTenantId
        id                        id of the detection, or of the user
        request_id                requestId of the sign-in
        resource_tenant_id        resourceTenantId
        risk_detail               riskDetail: why the risk changed
        risk_event_type           riskEventType: unlikelyTravel, leakedCredentials, …
        risk_level                riskLevel: low, medium, high
        risk_state                riskState: atRisk, remediated, dismissed, …
        risk_type                 riskType: as riskEventType
        source                    source of the detection
        token_issuer_type         tokenIssuerType
        user_display_name         userDisplayName
        user_id                   userId
        user_principal_name       userPrincipalName
        user_type                 userType
        """,
    ),
    *rows(
        _PROPERTIES,
        "date",
        """
        activity_datetime           activityDateTime
        detected_datetime           detectedDateTime
        last_updated_datetime       lastUpdatedDateTime
        risk_last_updated_datetime  riskLastUpdatedDateTime
        """,
    ),
    *rows(
        _PROPERTIES,
        "boolean",
        """
        is_deleted     isDeleted: the user is gone
        is_guest       isGuest
        is_processing  isProcessing: the state is changing
        """,
    ),
    Field(f"{_PROPERTIES}ip_address", "ip", "ipAddress"),
    Field(f"{_PROPERTIES}location", "flattened", "location of the sign-in"),
    Field(f"{_PROPERTIES}additional_info", "flattened", "additionalInfo: what the detection rests on"),
)
