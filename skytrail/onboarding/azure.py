"""The set-up of Azure: diagnostic settings into Event Hubs, a container for checkpoints, two narrow roles.

https://learn.microsoft.com/azure/azure-monitor/essentials/diagnostic-settings
https://learn.microsoft.com/entra/identity/monitoring-health/howto-stream-logs-to-event-hub
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from skytrail.onboarding.setup_files import SetUp, checked, fill, namespaced

_FORMATS = {
    "activity": "azure.activitylogs",
    "signin": "azure.signinlogs",
    "risk": "azure.identity_protection",
    "audit": "azure.auditlogs",
    "platform": "azure.platformlogs",
    "kube-audit": "kubernetes.audit",
}
_COLLECTOR = """\
[collectors.{name}-{hub}]
transport = "event_hubs"
format = "{format}"
namespace = "{namespace}"

[collectors.{name}-{hub}.event_hubs]
fully_qualified_namespace = "{name}-logs.servicebus.windows.net"
event_hub = "{hub}"
consumer_group = "skytrail"
checkpoint_container_url = "https://{account}.blob.core.windows.net/checkpoints-{hub}"
"""
_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureSource:
    """What the operator says of a subscription and its tenant.

    Attributes:
        name: Of everything made for it.
        subscription: Id of the subscription.
        region: Where the Event Hubs are.
        reader: Object id of the identity as which the collector runs.
        namespace: Where the events go.
    """

    name: str
    subscription: str
    region: str
    reader: str
    namespace: str = "default"


def set_up(source: AzureSource) -> SetUp:
    """The files, the collectors (one per kind of log) and the steps.

    Raises:
        ConfigError: A value has not the form that Azure gives it.
    """
    example = "11111111-2222-3333-4444-555555555555"
    values = {
        "name": checked("the name", source.name, r"[a-z][a-z0-9-]{2,30}[a-z0-9]", "skytrail"),
        "subscription": checked("the subscription", source.subscription, _GUID, example),
        "region": checked("the region", source.region, r"[a-z]+[a-z0-9]*", "westeurope"),
        "reader": checked("the reader", source.reader, _GUID, example),
    }
    namespace = namespaced(source.namespace)
    account = re.sub("[^a-z0-9]", "", f"{source.name}checkpoints")[:24]  # as main.tf names it
    collectors = (
        _COLLECTOR.format(name=source.name, hub=hub, format=kind, namespace=namespace, account=account)
        for hub, kind in _FORMATS.items()
    )
    steps = (
        "apply main.tf: terraform init && terraform apply; where a name is taken (in all of Azure): another --name",
        "put the collectors you want into skytrail.toml",
        f"skytrail onboard check {source.name}-activity, and likewise the others",
        f"skytrail collect {source.name}-activity, and likewise the others",
    )
    return SetUp((fill("azure/main.tf", values),), "\n".join(collectors), steps)
