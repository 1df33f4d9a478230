"""Fields of Azure platform log documents besides the common ones: Elastic's names, and a few of ours beside them.

Names of Elastic's integration: https://www.elastic.co/docs/reference/integrations/azure/platformlogs
"""

from __future__ import annotations

from ingest.formats.azure_records.fields import AZURE_FIELDS, envelope_fields, rows
from ingest.schema.fields import Field

ROOT = "azure.platformlogs."

FIELDS: tuple[Field, ...] = (
    *AZURE_FIELDS,
    *envelope_fields(ROOT),
    *rows(
        ROOT,
        "keyword",
        """
        event_category  properties.eventCategory, else Administrative
        status          Status: Succeeded, Failed
        identity_name   identity where it is a plain text
        tenant_id       tenantId (ours)
        status_code     statusCode of a storage request (ours)
        status_text     statusText of a storage request (ours)
        protocol        protocol of a storage request (ours)
        ActivityId      ActivityId of Event Hubs and Service Bus
        Caller          Caller of Event Hubs and Service Bus
        Environment     Environment of Event Hubs and Service Bus
        ScaleUnit       ScaleUnit of Event Hubs and Service Bus
        EventTimeString EventTimeString of Event Hubs and Service Bus
        """,
    ),
    Field(
        f"{ROOT}identity", "flattened", "identity: claims of the caller, or how a storage request was authorised (ours)"
    ),
    Field(f"{ROOT}properties", "flattened", "properties of the record; what they are depends on its category"),
)
