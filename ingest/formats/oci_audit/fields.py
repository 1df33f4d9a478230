"""Fields of OCI audit documents besides the common ones. Elastic has no data set for them, so the names are ours.

https://docs.oracle.com/en-us/iaas/Content/Audit/Reference/logeventreference.htm
"""

from __future__ import annotations

from ingest.schema.fields import Field, FieldType

_ROOT = "oci.audit."


def _rows(type_: FieldType, rows: str) -> list[Field]:
    """Fields of one type, a line each: `name  meaning`."""
    pairs = (row.strip().split(None, 1) for row in rows.splitlines() if row.strip())
    return [Field(_ROOT + name, type_, meaning) for name, meaning in pairs]


FIELDS: tuple[Field, ...] = (
    *_rows(
        "keyword",
        """
        schema_version               1 or 2
        event_type                   eventType: com.oraclecloud.ComputeApi.GetInstance
        event_type_version           eventTypeVersion
        event_grouping_id            eventGroupingId: joins the events of one operation
        compartment_id               compartment of the resource
        compartment_name             its name
        resource_id                  resource acted on
        resource_name                its name
        availability_domain          availability domain of the resource
        identity.auth_type           authType: natv, fed, …
        identity.caller_id           callerId: who asked on behalf of the principal
        identity.caller_name         its name
        identity.console_session_id  consoleSessionId
        identity.credentials         id of the credential used
        identity.principal_id        principalId
        identity.principal_name      principalName
        identity.tenant_id           tenancy of the principal
        request.id                   request id, opc-request-id
        request.action               HTTP method
        """,
    ),
    Field(f"{_ROOT}request.path", "wildcard", "path of the API"),
    Field(f"{_ROOT}message", "wildcard", "the event in one line"),
    Field(f"{_ROOT}response.message", "wildcard", "error in words"),
    Field(f"{_ROOT}response.status", "long", "HTTP status"),
    Field(f"{_ROOT}response.response_time", "date", "when the response was given"),
    *_rows(
        "flattened",
        """
        request.parameters     parameters of the request
        request.headers        headers, without credentials
        response.headers       headers of the response
        response.payload       payload of the response
        state_change.previous  attributes before
        state_change.current   attributes after
        additional_details     what the service adds
        freeform_tags          tags of the resource
        defined_tags           tags of the resource, by namespace
        """,
    ),
)
