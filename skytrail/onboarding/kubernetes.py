"""The set-up of Kubernetes: audit policy, webhook and flags of one's own API server; a stream of EKS's log.

https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html
"""

from __future__ import annotations

from dataclasses import dataclass

from skytrail.onboarding.aws import trusted
from skytrail.onboarding.setup_files import SetUp, checked, fill, namespaced

_WEBHOOK = """\
[collectors.{name}]
transport = "kubernetes_webhook"
format = "kubernetes.audit"
namespace = "{namespace}"

[collectors.{name}.kubernetes_webhook]
host = "0.0.0.0"
port = {port}
certificate_file = "/etc/skytrail/webhook.crt"
key_file = "/etc/skytrail/webhook.key"
token_file = "/run/secrets/{name}-tokens"
"""
_STREAM = """\
[collectors.{name}]
transport = "kinesis"
format = "kubernetes.audit"
namespace = "{namespace}"

[collectors.{name}.kinesis]
stream = "{cluster}-audit"
region = "{region}"
role_arn = "<RoleArn>"
external_id = "{external_id}"
"""
_FILES = ("README.md", "audit-policy.yaml", "webhook-kubeconfig.yaml", "kubeadm-apiserver.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSource:
    """What the operator says of a cluster.

    Attributes:
        name: Of the cluster.
        host: Name under which its API server reaches the webhook.
        port: Port of the webhook.
        region: Of an EKS cluster; "" for all others.
        cluster: Of an EKS cluster: as EKS calls it, where `name` is not that; it may have capitals and underscores.
        reader: Of an EKS cluster: ARN of the principal as which the collector runs.
        external_id: Of an EKS cluster: word that the collector names when it takes the role.
        namespace: Where the events go.
    """

    name: str
    host: str = "skytrail.example.org"
    port: int = 9443
    region: str = ""
    cluster: str = ""
    reader: str = ""
    external_id: str = ""
    namespace: str = "default"


def set_up(source: KubernetesSource) -> SetUp:
    """The files, the collector and the steps: a stream where a region is given (EKS), else the webhook.

    Raises:
        ConfigError: A value has not the form it should have.
    """
    name = checked("the name", source.name, r"[a-z][a-z0-9-]{1,60}[a-z0-9]", "production")
    host = checked("the host", source.host, r"[a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\]", "audit.example.org")
    namespace = namespaced(source.namespace)
    values = {"name": name, "url": f"https://{host}:{source.port}/k8s/{name}"}
    if not source.region:
        collector = _WEBHOOK.format(name=name, namespace=namespace, port=source.port)
        steps = (
            "follow README.md: policy, webhook, token and flags on every control plane node",
            f"put the collector into skytrail.toml; a line `{name} <token>` into its token file",
            f"skytrail collect {name}",
            f"skytrail onboard check {name}",
        )
        return SetUp(tuple(fill(f"kubernetes/{file}", values) for file in _FILES), collector, steps)
    values |= trusted(source.region, source.reader, source.external_id)
    values["cluster"] = checked("the cluster", source.cluster or name, r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}", "Shop_1")
    apply = (
        f"aws cloudformation deploy --region {source.region} --stack-name {name}-audit "
        "--template-file eks-audit-stream.yaml --capabilities CAPABILITY_IAM"
    )
    steps = (
        f"switch the log on (the command is in eks-audit-stream.yaml) and apply that file: {apply}",
        "put the collector into skytrail.toml, with the role that the stack tells",
        f"skytrail onboard check {name}",
        f"skytrail collect {name}",
    )
    collector = _STREAM.format(**values, namespace=namespace)
    return SetUp((fill("kubernetes/eks-audit-stream.yaml", values),), collector, steps)
