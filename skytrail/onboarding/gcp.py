"""The set-up of Google Cloud: a log sink into Pub/Sub and an identity that can pull.

https://cloud.google.com/logging/docs/export/configure_export_v2
https://cloud.google.com/logging/docs/audit/configure-data-access
"""

from __future__ import annotations

from dataclasses import dataclass

from skytrail.onboarding.setup_files import SetUp, checked, fill, namespaced

_COLLECTOR = """\
[collectors.{name}]
transport = "pubsub"
format = "auto"  # Cloud Audit Logs are gcp.audit, those of GKE's API servers kubernetes.audit
namespace = "{namespace}"

[collectors.{name}.pubsub]
project = "{project}"
subscription = "{name}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpSource:
    """What the operator says of a project or an organisation.

    Attributes:
        name: Of the sink, topic and subscription.
        project: Id of the project that gets them.
        organisation: Number of the organisation for a sink of all of it; "" for the project alone.
        data_access: Switch data access logs on.
        readers: Members that may act as the reader, e.g. `principal://…`.
        namespace: Where the events go.
    """

    name: str
    project: str
    organisation: str = ""
    data_access: bool = False
    readers: tuple[str, ...] = ()
    namespace: str = "default"


def set_up(source: GcpSource) -> SetUp:
    """The files, the collector and the steps.

    Raises:
        ConfigError: A value has not the form that Google gives it.
    """
    members = [
        checked(
            "the reader", one, r"[a-zA-Z]+:[\w@.:/*-]+(\[[\w./-]+\])?", "serviceAccount:…@….iam.gserviceaccount.com"
        )
        for one in source.readers
    ]
    values = {
        "name": checked("the name", source.name, r"[a-z][a-z0-9-]{3,20}[a-z0-9]", "skytrail-logs"),
        "project": checked("the project", source.project, r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "my-project"),
        "organisation": checked("the organisation", source.organisation, r"\d{0,20}", "123456789012"),
        "scope_kind": "organisation" if source.organisation else "project",
        "data_events_bool": "true" if source.data_access else "false",
        "reader_list": ", ".join(f'"{member}"' for member in members),
    }
    steps = (
        "apply main.tf: terraform init && terraform apply",
        "put the collector into skytrail.toml",
        f"skytrail onboard check {source.name}",
        f"skytrail collect {source.name}",
    )
    namespace = namespaced(source.namespace)
    collector = _COLLECTOR.format(name=source.name, project=source.project, namespace=namespace)
    return SetUp((fill("gcp/main.tf", values),), collector, steps)
