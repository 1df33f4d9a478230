"""Fields of GCP audit documents besides the common ones: Elastic's names, and a few of ours beside them.

Names of Elastic's integration: https://www.elastic.co/docs/reference/integrations/gcp/audit
"""

from __future__ import annotations

from ingest.schema.fields import Field, FieldType

_ROOT = "gcp.audit."


def _rows(type_: FieldType, rows: str, *, array: bool = False) -> list[Field]:
    """Fields of one type, a line each: `name  meaning`."""
    pairs = (row.strip().split(None, 1) for row in rows.splitlines() if row.strip())
    return [Field(_ROOT + name, type_, meaning, array=array) for name, meaning in pairs]


FIELDS: tuple[Field, ...] = (
    *_rows(
        "keyword",
        """
        type                                         @type of the payload
        log_id                                       log in its project: cloudaudit.googleapis.com%2Factivity (ours)
        method_name                                  methodName, as event.action; the name that public rules use
        service_name                                 serviceName, as service.name
        resource_name                                resourceName: what was acted on
        resource_type                                resource.type: kind of the monitored resource (ours)
        logentry_operation.id                        operation.id of a long operation
        logentry_operation.producer                  operation.producer (ours)
        status.code_name                             name of the status code, PERMISSION_DENIED (ours)
        authentication_info.authority_selector       authoritySelector of the request
        authentication_info.service_account_key_name serviceAccountKeyName used
        authentication_info.oauth_client_id          client that the token was made for (ours)
        request_metadata.caller_network              network that the call came from, of calls inside Google (ours)
        """,
    ),
    Field(f"{_ROOT}status.message", "wildcard", "status in words"),
    *_rows("long", "status.code  google.rpc.Code; 0 is success\n num_response_items  items in the response"),
    Field(f"{_ROOT}resource_location.current_locations", "keyword", "where the resource lies", array=True),
    *_rows(
        "keyword",
        """
        authorization_info.permission                   permission checked
        authorization_info.permission_type              ADMIN_READ, DATA_WRITE, … (ours)
        authorization_info.resource                     resource it was checked on
        authorization_info.resource_attributes.name     its name
        authorization_info.resource_attributes.service  its service
        authorization_info.resource_attributes.type     its type
        """,
        array=True,
    ),
    Field(f"{_ROOT}authorization_info.granted", "boolean", "whether it was granted", array=True),
    *_rows(
        "flattened",
        """
        authentication_info.service_account_delegation_info  who acted as the service account, by position
        authentication_info.third_party_principal            principal of another identity provider
        labels                                               labels of the log entry
        resource_labels                                      resource.labels of the monitored resource (ours)
        request                                              request of the method; policy_value where a policy is text
        response                                             response; status_value where its status is text
        metadata                                             what the service adds (ours)
        service_data                                         the same of older services: policyDelta, … (ours)
        policy_violation_info                                which organisation policy was violated (ours)
        """,
    ),
)
