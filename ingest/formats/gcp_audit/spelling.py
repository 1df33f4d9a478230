"""Names of a log entry in Google's spelling.

BigQuery's sink calls the payload `protopayload_auditlog`, and columns that may not begin with `@` hold the type as
`at_sign_type`.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry
"""

from __future__ import annotations

from ingest.parsing.spelling import Names

_PAYLOAD = Names(
    """
    @type serviceName methodName resourceName numResponseItems status request response metadata serviceData
    resourceOriginalState policyViolationInfo
    """,
    {
        "authenticationInfo": Names(
            """
            principalEmail principalSubject authoritySelector serviceAccountKeyName serviceAccountDelegationInfo
            thirdPartyPrincipal oauthInfo
            """
        ),
        "authorizationInfo": Names("permission permissionType resource granted resourceAttributes"),
        "requestMetadata": Names(
            "callerIp callerSuppliedUserAgent callerNetwork requestAttributes destinationAttributes"
        ),
        "resourceLocation": Names("currentLocations originalLocations"),
    },
    atsigntype="@type",
)
ENTRY = Names(
    "insertId logName timestamp receiveTimestamp severity labels trace spanId traceSampled split httpRequest",
    {
        "protoPayload": _PAYLOAD,
        "resource": Names("type labels"),
        "operation": Names("id producer first last"),
    },
    protopayloadauditlog="protoPayload",
)
"""A log entry with an audit payload."""
