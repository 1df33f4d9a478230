"""Fields of Azure Activity documents besides the common ones: Elastic's names, and a few of ours beside them.

Names of Elastic's integration: https://www.elastic.co/docs/reference/integrations/azure/activitylogs
"""

from __future__ import annotations

from ingest.formats.azure_records.fields import AZURE_FIELDS, envelope_fields, rows
from ingest.schema.fields import Field

ROOT = "azure.activitylogs."

FIELDS: tuple[Field, ...] = (
    *AZURE_FIELDS,
    *envelope_fields(ROOT),
    *rows(
        ROOT,
        "keyword",
        """
        event_category  properties.eventCategory: Administrative, Policy, ServiceHealth, …
        tenant_id       tenantId
        identity_name   identity where it is a plain text
        event_name      eventName of the REST API: BeginRequest, EndRequest (ours)
        """,
    ),
    *rows(
        f"{ROOT}identity.authorization.",
        "keyword",
        """
        action                          operation that was authorised
        scope                           where
        evidence.role                   role that allowed it
        evidence.role_assignment_scope  scope of the assignment
        evidence.role_assignment_id     id of the assignment
        evidence.role_definition_id     id of the role
        evidence.principal_id           object id of the caller
        evidence.principal_type         User, Group or ServicePrincipal
        """,
    ),
    *rows(
        f"{ROOT}identity.claims_initiated_by_user.",
        "name",
        """
        name       name claim, mostly a@b
        fullname   name in full
        givenname  given name
        surname    surname
        schema     namespace of these claims
        """,
    ),
    Field(f"{ROOT}identity.claims", "flattened", "claims of the caller's token, dots of their names as _"),
    Field(f"{ROOT}properties", "flattened", "properties of the event; what they are depends on its category"),
)
