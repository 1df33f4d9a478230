"""Fields of CloudTrail documents besides the common ones: Elastic's names, and a few of ours beside them.

Names of Elastic's integration: https://www.elastic.co/docs/reference/integrations/aws/cloudtrail
"""

from __future__ import annotations

from ingest.schema.fields import Field, FieldType

_ROOT = "aws.cloudtrail."


def _rows(prefix: str, type_: FieldType, rows: str, *, array: bool = False) -> list[Field]:
    """Fields below `prefix` of one type, a line each: `name  meaning`."""
    pairs = (row.strip().split(None, 1) for row in rows.splitlines() if row.strip())
    return [Field(_ROOT + prefix + name, type_, meaning, array=array) for name, meaning in pairs]


_IDENTITY = "user_identity."
_CONTEXT = "user_identity.session_context."

FIELDS: tuple[Field, ...] = (
    *_rows(
        "",
        "keyword",
        """
        event_version                    eventVersion: version of the record's form, 1.01 to 1.11
        event_category                   eventCategory: Management, Data, Insight or NetworkActivity
        event_type                       eventType: AwsApiCall, AwsServiceEvent, AwsConsoleSignIn, …
        api_version                      apiVersion of the service
        error_code                       errorCode, absent when the call succeeded
        request_id                       requestID of the service
        shared_event_id                  sharedEventID: one action told in the trails of several accounts
        recipient_account_id             recipientAccountId: account whose trail received it
        vpc_endpoint_id                  vpcEndpointId: endpoint that the call came through
        vpc_endpoint_account_id          vpcEndpointAccountId: owner of that endpoint (ours)
        management_event                 managementEvent, true or false as text
        session_credential_from_console  sessionCredentialFromConsole, true when the session began in the console
        """,
    ),
    Field(f"{_ROOT}error_message", "wildcard", "errorMessage, absent when the call succeeded"),
    Field(f"{_ROOT}read_only", "boolean", "readOnly: whether the call changes nothing"),
    *_rows(
        "",
        "wildcard",
        """
        request_parameters     requestParameters as Java text, for searching
        response_elements      responseElements as Java text, for searching
        additional_eventdata   additionalEventData as Java text, for searching
        service_event_details  serviceEventDetails as Java text, for searching
        """,
    ),
    *_rows(
        "flattened.",
        "flattened",
        """
        request_parameters     requestParameters as an object, when its text is shorter than 32,766 bytes
        response_elements      responseElements as an object, under the same limit
        additional_eventdata   additionalEventData as an object, under the same limit
        service_event_details  serviceEventDetails as an object, under the same limit
        insight_details        insightDetails of an Insight event
        digest                 a digest file: period, log files, previous digest, key
        """,
    ),
    *_rows(
        _IDENTITY,
        "keyword",
        """
        type               userIdentity.type: IAMUser, AssumedRole, Root, AWSService, …
        arn                userIdentity.arn
        access_key_id      userIdentity.accessKeyId
        invoked_by         userIdentity.invokedBy: service that called on someone's behalf
        identity_provider  userIdentity.identityProvider (ours)
        """,
    ),
    *_rows(
        _CONTEXT,
        "keyword",
        """
        mfa_authenticated                           whether MFA was used, true or false as text
        source_identity                             sourceIdentity that the session carries (ours)
        ec2_role_delivery                           version of the instance metadata service, 1.0 or 2.0 (ours)
        web_id_federation_data.federated_provider   provider of a web identity (ours)
        session_issuer.type                         kind of what issued the credentials: Role, User, Root
        session_issuer.principal_id                 its principal id
        session_issuer.arn                          its ARN
        session_issuer.account_id                   its account
        """,
    ),
    Field(f"{_ROOT}{_CONTEXT}creation_date", "date", "when the session's credentials were issued"),
    *_rows(
        "resources.",
        "keyword",
        """
        arn         ARN of a resource that the event touches
        account_id  its owner
        type        its type, AWS::S3::Bucket
        """,
        array=True,
    ),
    Field(f"{_ROOT}console_login.additional_eventdata.login_to", "keyword", "page that the sign-in led to"),
    *_rows(
        "console_login.additional_eventdata.",
        "boolean",
        """
        mobile_version  whether the mobile page was used
        mfa_used        whether MFA was used
        """,
    ),
)
