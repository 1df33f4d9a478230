"""Which cluster and cloud an event comes from: from the wrapper, or from what EKS's authenticator adds to the user.

A plain audit event does not name its cluster. Nothing is guessed: what is not told stays absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.formats.kubernetes_audit.records import Opened
from ingest.parsing.scalars import mapping_of, text_of, texts_of

_EKS_LOG_GROUP = re.compile(r"(?:(?P<account>[0-9]{12}):)?/aws/eks/(?P<cluster>[^/]+)/cluster")
_AZURE_RESOURCE = re.compile(
    r"/?subscriptions/(?P<account>[^/]+)/resourcegroups/[^/]+/providers/"
    r"microsoft\.(?:containerservice/managedclusters|(?P<arc>kubernetes/connectedclusters))/(?P<cluster>[^/]+)/?",
    re.IGNORECASE,
)
_ARN_PARTS = 6  # arn:partition:service:region:account:resource


class Cluster(NamedTuple):
    """What is known of the place.

    Attributes:
        provider: `aws`, `azure`, `gcp`, or empty.
        service: `eks`, `aks`, `arc` (a cluster anywhere that Azure Arc manages), `gke`, or empty.
        entity: The vendor's id of the cluster, for pivoting.
    """

    provider: str = ""
    service: str = ""
    account: str = ""
    region: str = ""
    project: str = ""
    name: str = ""
    entity: str = ""

    def cloud(self) -> dict[str, Any]:
        """The `cloud` object of the document, empty when nothing is known."""
        found: dict[str, Any] = {}
        if self.provider:
            found["provider"] = self.provider
        if self.account:
            found["account"] = {"id": self.account}
        if self.region:
            found["region"] = self.region
        if self.project:
            found["project"] = {"id": self.project}
        if self.service:
            found["service"] = {"name": self.service}
        return found


_UNKNOWN = Cluster()


def cluster_of(opened: Opened) -> Cluster:
    """The cluster an event tells of."""
    if opened.channel == "gcp":
        return _gke(opened.wrapper)
    if opened.channel == "azure":
        return _azure(opened.wrapper)
    extra = mapping_of(mapping_of(opened.event.get("user")).get("extra"))
    if opened.channel == "cloudwatch" or "arn" in extra or "canonicalArn" in extra:
        return _eks(opened, extra)
    return _UNKNOWN


def arns_of(extra: Mapping[str, Any]) -> list[str]:
    """ARNs in `user.extra`: of the session, and of the role or user behind it."""
    found = (arn for key in ("arn", "canonicalArn") for arn in texts_of(extra.get(key)))
    return [arn for arn in found if arn.startswith("arn:")]


def _gke(entry: Mapping[str, Any]) -> Cluster:
    labels = mapping_of(mapping_of(entry.get("resource")).get("labels"))
    project = text_of(labels.get("project_id")) or ""
    return Cluster(
        provider="gcp",
        service="gke",
        account=project,
        project=project,
        region=text_of(labels.get("location")) or "",
        name=text_of(labels.get("cluster_name")) or "",
    )


def _azure(record: Mapping[str, Any]) -> Cluster:
    resource = text_of(record.get("resourceId") or record.get("ResourceId") or record.get("_ResourceId")) or ""
    known = _AZURE_RESOURCE.fullmatch(resource)
    # Azure writes resource ids in either case: lower case makes one cluster one name
    return Cluster(
        provider="azure",
        service="arc" if known and known["arc"] else "aks",
        account=known["account"].lower() if known else "",
        region=text_of(record.get("location")) or "",
        name=known["cluster"].lower() if known else "",
        entity=resource.lower(),
    )


def _eks(opened: Opened, extra: Mapping[str, Any]) -> Cluster:
    row, beside = opened.wrapper, opened.beside
    group = text_of(row.get("@log") or row.get("logGroup") or row.get("logGroupName")) or beside.get("log_group", "")
    known = _EKS_LOG_GROUP.fullmatch(group)
    account = next((parts[4] for arn in arns_of(extra) if len(parts := arn.split(":", 5)) == _ARN_PARTS), "")
    return Cluster(
        provider="aws",
        service="eks",
        account=(known["account"] if known else "") or beside.get("owner", "") or account,
        name=known["cluster"] if known else "",
    )
