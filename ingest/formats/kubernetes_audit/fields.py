"""Fields of Kubernetes audit documents besides the common ones: the vendor's event under `kubernetes.audit`, camelCase.

https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
Names of Elastic's integration: https://www.elastic.co/docs/reference/integrations/kubernetes/audit-logs
"""

from __future__ import annotations

from ingest.formats.kubernetes_audit.bodies import REQUEST, RESPONSE
from ingest.formats.kubernetes_audit.shape import Shape
from ingest.schema.fields import Field

ROOT = "kubernetes.audit."

_USER = """
    username name name as authenticated, or impersonated
    uid keyword unique id
    groups name groups
"""


def _below(prefix: str, rows: str) -> str:
    return "\n".join(prefix + row.strip() for row in rows.splitlines() if row.strip())


EVENT = Shape(
    ROOT,
    "\n".join(
        (
            """
    kind keyword Event
    apiVersion keyword version of the event's form
    level keyword Metadata, Request or RequestResponse
    auditID keyword id of the request; a client can choose it
    stage keyword RequestReceived, ResponseStarted, ResponseComplete or Panic
    requestURI wildcard path and query as sent
    verb keyword verb, or the method in lower case for a path that is no resource
    userAgent name user agent as sent
    sourceIPs name addresses; all but the last can be forged
    objectRef.resource keyword resource, plural
    objectRef.namespace keyword namespace
    objectRef.name keyword name
    objectRef.uid keyword uid
    objectRef.apiGroup keyword API group
    objectRef.apiVersion keyword API version
    objectRef.resourceVersion keyword version of the object
    objectRef.subresource keyword subresource
    responseStatus.code long HTTP status
    responseStatus.status keyword Success or Failure
    responseStatus.reason keyword reason as a word
    responseStatus.message wildcard reason in words
    responseStatus.details.name keyword object concerned
    responseStatus.details.group keyword its API group
    responseStatus.details.kind keyword its kind or resource
    responseStatus.details.uid keyword its uid
    responseStatus.details.causes.reason keyword cause as a word
    responseStatus.details.causes.message keyword cause in words
    responseStatus.details.causes.field keyword field concerned
    responseStatus.details.retryAfterSeconds long when to try again
    """,
            _below("user.", _USER),
            _below("impersonatedUser.", _USER),
        )
    ),
)

FIELDS: tuple[Field, ...] = (
    *EVENT.fields,
    Field(ROOT + "requestReceivedTimestamp", "date", "when the request came"),
    Field(ROOT + "stageTimestamp", "date", "when the stage was reached"),
    Field(ROOT + "timestamp", "date", "time of an event of an old API version"),
    Field(ROOT + "annotations", "object", "annotations; dots in keys are written as _"),
    Field(ROOT + "user.extra", "flattened", "what the authenticator adds; dots in keys are written as _"),
    Field(ROOT + "impersonatedUser.extra", "flattened", "the same of the impersonated user"),
    *REQUEST.fields,
    *RESPONSE.fields,
)
