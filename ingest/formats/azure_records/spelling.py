"""Giving names the spelling of Azure's resource log schema back, whatever the channel made of them.

Log Analytics writes `CallerIpAddress`, the SDK for Python `caller_ip_address`, some streams `calleripaddress`, exports
of tables `TimeGenerated [UTC]`. Names that are not known here are kept: they may be names that a customer chose.

https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-schema
https://learn.microsoft.com/azure/azure-monitor/reference/tables/signinlogs (and auditlogs, azureactivity)
"""

from __future__ import annotations

import functools
from typing import Any

_ENVELOPE = """
    time resourceId operationName operationVersion category resultType resultSignature resultDescription durationMs
    callerIpAddress correlationId identity level location tenantId properties uri statusCode statusText protocol
    schemaVersion resourceType ReleaseVersion RoleLocation
"""
_TABLES = """
    timeGenerated type resource resourceGroup resourceProvider resourceProviderValue subscriptionId aadTenantId
    aadOperationType operationNameValue categoryValue activityStatus activityStatusValue activitySubstatus
    activitySubstatusValue eventSubmissionTimestamp propertiesD authorizationD claimsD hierarchy sourceSystem
    conditionalAccessPolicies locationDetails alternateSignInName isRisky
"""
_ACTIVITY = """
    authorization caller claims description eventDataId eventName httpRequest operationId resourceGroupName
    resourceProviderName resourceUri status subStatus eventTimestamp submissionTimestamp clientRequestId clientIpAddress
    method value localizedValue action scope evidence role roleAssignmentScope roleAssignmentId roleDefinitionId
    principalId principalType eventCategory entity message hierarchy requestbody responseBody statusMessage
    serviceRequestId policies isComplianceCheck resourceLocation
"""
SIGN_IN = """
    id createdDateTime userDisplayName userPrincipalName userId appId appDisplayName ipAddress clientAppUsed userAgent
    deviceDetail mfaDetail conditionalAccessStatus appliedConditionalAccessPolicies originalRequestId isInteractive
    tokenIssuerName tokenIssuerType authenticationProcessingDetails networkLocationDetails processingTimeInMilliseconds
    riskDetail riskLevelAggregated riskLevelDuringSignIn riskState riskEventTypes riskEventTypes_v2 resourceDisplayName
    resourceTenantId homeTenantId authenticationDetails authenticationRequirementPolicies authenticationRequirement
    servicePrincipalId servicePrincipalName userType flaggedForReview isTenantRestricted autonomousSystemNumber
    crossTenantAccessType privateLinkDetails ssoExtensionVersion uniqueTokenIdentifier incomingTokenType
    authenticationProtocol sessionId signInEventTypes conditionalAccessAudiences clientCredentialType
    managedIdentityType resourceServicePrincipalId servicePrincipalCredentialKeyId federatedCredentialId
    sessionLifetimePolicies authenticationContextClassReferences appOwnerTenantId resourceOwnerTenantId
    globalSecureAccessIpAddress isThroughGlobalSecureAccess signInTokenProtectionStatus originalTransferMethod
    signInIdentifier signInIdentifierType homeTenantName agent tokenProtectionStatusDetails resourceIdentity
"""
_SIGN_IN_DEEPER = """
    errorCode failureReason additionalDetails city state countryOrRegion geoCoordinates latitude longitude deviceId
    displayName operatingSystem browser browserId isCompliant isManaged trustType authMethod authDetail key
    enforcedGrantControls enforcedSessionControls result succeeded authenticationMethod authenticationMethodDetail
    authenticationStepDateTime authenticationStepRequirement authenticationStepResultDetail applicationId networkType
    networkNames requirementProvider detail
"""
_AUDIT = """
    activityDisplayName activityDateTime loggedByService operationType initiatedBy targetResources resultReason
    additionalDetails user app roles modifiedProperties newValue oldValue administrativeUnits groupType
    servicePrincipalNames
"""
_RISK = """
    requestId riskType riskEventType riskLevel source detectionTimingType activity detectedDateTime lastUpdatedDateTime
    additionalInfo isDeleted isProcessing riskLastUpdatedDateTime
"""
_PLATFORM = "eventTimeString eventProperties region accountName objectKey userAgentHeader requestUri httpStatusCode log"

TOP_NAMES = frozenset(_ENVELOPE.split())
"""Names on the top level of a resource log record."""
_SPELLING = {
    name.replace("_", "").lower(): name
    for table in (_TABLES, _ACTIVITY, _SIGN_IN_DEEPER, _AUDIT, _RISK, _PLATFORM, SIGN_IN, _ENVELOPE)
    for name in table.split()
}
_KEPT_INSIDE = frozenset({"claims", "claim", "claimsD", "requestbody", "responseBody", "tags", "log"})
"""Below these every name is somebody else's."""
_LONGEST = 64  # characters of a name that is looked up


def respelled(record: dict[str, Any]) -> dict[str, Any]:
    """The record with known names in Azure's spelling; in its objects only when the channel changed the names.

    The capital `Level` of Entra's records is no sign of such a channel: it is Azure's own.
    """
    if record.keys() <= TOP_NAMES:
        return record
    changed = any(_proper(name) != name and name != "Level" for name in record)
    return _renamed(record, deep=changed)


def _renamed(names: dict[str, Any], *, deep: bool) -> dict[str, Any]:
    """Known names in Azure's spelling; of two spellings of one name the first that holds something is kept."""
    found: dict[str, Any] = {}
    for name, value in names.items():
        proper = _proper(name)
        if deep and proper not in _KEPT_INSIDE:
            value = _inside(value)  # noqa: PLW2901 - the renamed copy takes its place
        if proper not in found or found[proper] in (None, ""):
            found[proper] = value
    return found


def _inside(value: Any) -> Any:
    if value.__class__ is dict:
        return _renamed(value, deep=True)
    if value.__class__ is list:
        return [_inside(item) for item in value]
    return value


def _proper(name: str) -> str:
    return _known(name) if len(name) <= _LONGEST else name


@functools.lru_cache(maxsize=4096)
def _known(name: str) -> str:
    """Memoised: a channel writes the same few hundred names over and over."""
    return _SPELLING.get(name.removesuffix(" [UTC]").replace("_", "").lower(), name)


def respelled_inside(value: Any) -> Any:
    """The same for an object that was JSON text in a record."""
    return _inside(value)
