"""Fields of Entra audit documents besides the common ones: Elastic's names.

Names of Elastic's integration: https://www.elastic.co/docs/reference/integrations/azure/auditlogs
"""

from __future__ import annotations

from ingest.formats.azure_records.fields import AZURE_FIELDS, envelope_fields, rows
from ingest.schema.fields import Field

ROOT = "azure.auditlogs."

FIELDS: tuple[Field, ...] = (
    *AZURE_FIELDS,
    *envelope_fields(ROOT),
    *rows(
        ROOT,
        "keyword",
        """
        identity   identity: name shown for who did it
        level      level, 1 to 5
        tenant_id  tenantId
        """,
    ),
    Field(
        f"{ROOT}properties",
        "object",
        "properties of the event, names in snake case; lists of targets are keyed by position; every value a keyword",
    ),
)
