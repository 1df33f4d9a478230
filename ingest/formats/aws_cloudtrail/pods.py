"""Which Kubernetes namespace a role was given to: what joins the log of a cluster with that of the account.

Two ways lead from a pod to a role: a web identity whose name is the service account, and EKS Pod Identity, which names
the service account in its answer.

Source: https://docs.aws.amazon.com/eks/latest/userguide/service-accounts.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIX = ["system", "serviceaccount"]


def orchestrator_of(event: Mapping[str, Any]) -> dict[str, str]:
    """The `orchestrator` object of a document; empty when no service account took a role."""
    answer, identity = event.get("responseElements"), event.get("userIdentity")
    subject = answer.get("subject") if isinstance(answer, Mapping) else None
    if isinstance(subject, Mapping) and isinstance(subject.get("serviceAccount"), str):
        namespace = subject.get("namespace")
    else:
        namespace = _namespace(identity.get("userName")) if isinstance(identity, Mapping) else None
    return {"type": "kubernetes", "namespace": namespace} if isinstance(namespace, str) and namespace else {}


def _namespace(name: Any) -> str | None:
    """`shop` of `system:serviceaccount:shop:cart`."""
    parts = name.split(":") if isinstance(name, str) else []
    return parts[2] if len(parts) == 4 and parts[:2] == _PREFIX else None  # noqa: PLR2004 - prefix, namespace, name
