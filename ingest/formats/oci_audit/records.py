"""From the bytes of a record to one audit event in the shape of schema version 2.

Version 1 has the same content under flat names; a record of the Logging service holds `data` with an event's names
around it changed (`id`, `time`, `type`). Both are brought into the shape of version 2, so that one rule serves all. The
command line writes names with hyphens.

https://docs.oracle.com/en-us/iaas/Content/Audit/Reference/logeventreference.htm
https://docs.oracle.com/en-us/iaas/Content/Logging/Reference/top_level_logging_format.htm
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.formats.oci_audit.redaction import redact
from ingest.parsing.json_value import parse_object
from ingest.parsing.scalars import NOTHING, mapping_of, text_of
from ingest.parsing.spelling import Names
from ingest.schema.errors import MalformedRecord

LIST_KEYS = ("data", "results", "logs", "items")
"""Keys whose array holds the records: what the command line and the search of the Logging service print."""

_LEVELS = 200  # an event nests about ten deep; what walks a payload uses the interpreter's stack
_DATA = Names(
    """
    eventGroupingId eventName compartmentId compartmentName resourceName resourceId availabilityDomain freeformTags
    definedTags additionalDetails message
    """,
    {
        "identity": Names(
            """
            principalName principalId authType callerName callerId tenantId ipAddress credentials authZPolicies
            userAgent consoleSessionId
            """
        ),
        "request": Names("id path action parameters headers"),
        "response": Names("status responseTime headers payload message"),
        "stateChange": Names("previous current"),
    },
)
_EVENT = Names("eventType cloudEventsVersion eventTypeVersion source eventId eventTime contentType", {"data": _DATA})
_PLACES_OF_V1 = {
    "eventName": ("eventName",),
    "compartmentId": ("compartmentId",),
    "compartmentName": ("compartmentName",),
    "tenantId": ("identity", "tenantId"),
    "principalId": ("identity", "principalId"),
    "userName": ("identity", "principalName"),
    "credentialId": ("identity", "credentials"),
    "requestAgent": ("identity", "userAgent"),
    "requestOrigin": ("identity", "ipAddress"),
    "requestAction": ("request", "action"),
    "requestId": ("request", "id"),
    "requestHeaders": ("request", "headers"),
    "requestParameters": ("request", "parameters"),
    "requestResource": ("request", "path"),
    "responseHeaders": ("response", "headers"),
    "responseStatus": ("response", "status"),
    "responseTime": ("response", "responseTime"),
    "responsePayload": ("response", "payload"),
}
V1_NAMES: Mapping[str, str] = {
    "eventSource": "source",
    **{name: ".".join(("data", *place)) for name, place in _PLACES_OF_V1.items()},
}
"""Names of version 1 and where version 2 has them."""
_V1 = Names(" ".join(("eventId eventTime eventType", *V1_NAMES)))
_TELLING_V1 = frozenset({"principalId", "requestAction", "requestResource", "responseStatus", "credentialId"})
_TELLING_V2 = frozenset({"eventName", "identity", "request"})
# `source` of the Logging service is the resource's name, not the service
_LOGGED = {"id": "eventId", "time": "eventTime", "type": "eventType", "dataschema": "eventTypeVersion"}
_MEND = "send only the audit log of Oracle Cloud (log group _Audit) to this source, or choose another format"


class Opened(NamedTuple):
    """An audit event without secrets, and what came around it.

    Attributes:
        event: In the shape of version 2.
        oracle: What the Logging service adds (`oracle`), empty without it.
        version: Of the schema: `1` or `2`.
        shown: The record without secrets; the record itself when it holds none.
    """

    event: dict[str, Any]
    oracle: Mapping[str, Any]
    version: str
    shown: bytes

    @property
    def data(self) -> Mapping[str, Any]:
        """The event's `data`."""
        return mapping_of(self.event.get("data"))


def open_record(record: bytes) -> Opened:
    """Parse a record, without secrets, and bring it into the shape of version 2.

    Raises:
        MalformedRecord: Not JSON, or no audit event of Oracle Cloud.
    """
    shown = redact(record)
    outer = parse_object(shown, deepest=_LEVELS)
    found = mapping_of(outer.get("data"))  # what the search of the Logging service puts around a record
    logged = mapping_of(outer.get("logContent")) or mapping_of(found.get("logContent")) or outer
    if "specversion" in logged and logged.get("data").__class__ is dict:
        event: dict[str, Any] = {target: logged[name] for name, target in _LOGGED.items() if name in logged}
        event["data"] = logged["data"]
        oracle = mapping_of(logged.get("oracle"))
    else:
        event, oracle = outer, NOTHING
    _EVENT.respell(event)
    if event.get("data").__class__ is dict:
        if _TELLING_V2.isdisjoint(event["data"]) or not _is_oracles(event):
            raise _foreign("its data names neither what was done nor who did it")
        return Opened(event, oracle, "2", shown)
    _V1.respell(event)
    if "eventId" not in event or _TELLING_V1.isdisjoint(event):
        raise _foreign("it has neither `data` nor the names of version 1")
    return Opened(_as_v2(event), NOTHING, "1", shown)


def _is_oracles(event: Mapping[str, Any]) -> bool:
    """Whether an event is Oracle's and not another service's that has the form of CloudEvents, too."""
    kind = text_of(event.get("eventType")) or ""
    tenant = text_of(mapping_of(event["data"].get("identity")).get("tenantId")) or ""
    owner = text_of(event["data"].get("compartmentId")) or ""
    return (
        kind.startswith(("com.oraclecloud.", "com.oracle."))
        or tenant.startswith("ocid1.")
        or owner.startswith("ocid1.")
    )


def _as_v2(event: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    found: dict[str, Any] = {"data": data}
    for name, value in event.items():
        place = _PLACES_OF_V1.get(name)
        if place is None:
            found[V1_NAMES.get(name, name)] = value
        elif len(place) == 1:
            data[place[0]] = value
        else:
            data.setdefault(place[0], {})[place[1]] = value
    return found


def _foreign(why: str) -> MalformedRecord:
    return MalformedRecord(f"reading OCI audit event: {why}", mend=_MEND)
