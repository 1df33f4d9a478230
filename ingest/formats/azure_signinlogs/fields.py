"""Fields of Entra sign-in documents besides the common ones: Elastic's names.

Names of Elastic's integration: https://www.elastic.co/docs/reference/integrations/azure/signinlogs
"""

from __future__ import annotations

from ingest.formats.azure_records.fields import AZURE_FIELDS, envelope_fields, rows
from ingest.schema.fields import Field

ROOT = "azure.signinlogs."

FIELDS: tuple[Field, ...] = (
    *AZURE_FIELDS,
    *envelope_fields(ROOT),
    *rows(
        ROOT,
        "keyword",
        """
        identity   identity: name shown for who signed in
        tenant_id  tenantId
        """,
    ),
    Field(f"{ROOT}properties", "object", "properties of the sign-in, names in snake case; every value a keyword"),
)
