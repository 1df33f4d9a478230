"""Fields that the documents of all of Azure's logs may hold besides the common ones.

Names of Elastic's integration: https://www.elastic.co/docs/reference/beats/filebeat/exported-fields-azure
"""

from __future__ import annotations

from ingest.schema.fields import Field, FieldType


def rows(prefix: str, type_: FieldType, table: str) -> tuple[Field, ...]:
    """Fields below `prefix` of one type, a line each: `name  meaning`."""
    pairs = (row.strip().split(None, 1) for row in table.splitlines() if row.strip())
    return tuple(Field(prefix + name, type_, meaning) for name, meaning in pairs)


AZURE_FIELDS: tuple[Field, ...] = rows(
    "azure.",
    "keyword",
    """
    subscription_id              subscription of the resource
    tenant_id                    tenant of the directory
    correlation_id               correlationId: shared by the records of one operation
    resource.id                  resourceId as it was written
    resource.group               resource group
    resource.provider            namespace and types, Microsoft.Storage/storageAccounts
    resource.name                name of the resource
    resource.namespace           namespace of Event Hubs or Service Bus that an authorization rule is of
    resource.authorization_rule  that rule
    """,
)


def envelope_fields(root: str) -> tuple[Field, ...]:
    """The members of the resource log schema below one log's root."""
    named = rows(
        root,
        "keyword",
        """
        operation_name     operationName in its own case
        operation_version  operationVersion: version of the API
        category           category of the log
        result_type        resultType: status or error code
        result_signature   resultSignature: sub-status
        """,
    )
    return (*named, Field(f"{root}result_description", "wildcard", "resultDescription in words"))
