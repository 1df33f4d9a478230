"""From a stolen service account token to the cloud.

A token of the orders worker is used from outside: what may I do, a shell in a pod, a privileged pod with the node's
disk, rights over the whole cluster. From the node come the credentials of its role, and they are used from the
attacker's own machine: first to look, then to change into another role and to carry objects away.
"""

from __future__ import annotations

import random
from typing import Any, Final

from skytrail.demo.audit import FORBIDDEN, ApiServer, AuditEvent, Request, Subject, service_account
from skytrail.demo.catalogue import s3_object
from skytrail.demo.clock import hour
from skytrail.demo.cloudtrail import Call, Caller, Event, Role, Session, Trail
from skytrail.demo.company import Company
from skytrail.demo.sessions import issued_credentials
from skytrail.demo.story import Story

INTRUDER: Final = "192.0.2.143"
POD: Final = "node-debugger-x7k2p"
ACCOUNT: Final = "orders-worker"
_AGENT: Final = "kubectl/v1.30.1 (linux/amd64) kubernetes/6911225"
_BOTO: Final = "Boto3/1.34.51 md/Botocore#1.34.51 ua/2.0 os/linux#6.6.15-amd64 md/arch#x86_64 lang/python#3.11.8"


def story(rng: random.Random, company: Company, trail: Trail, server: ApiServer) -> Story:
    """The events of the escape, from ten past one in the afternoon."""
    thief = service_account("shop", ACCOUNT, f"{ACCOUNT}-{server.ids.suffix(10)}-0", INTRUDER, _AGENT)
    audit = _in_cluster(rng, server, thief)
    return Story(
        name="container-escape",
        title="A stolen service account token leads through a privileged pod to the role of a node, used from outside",
        principals=(f"system:serviceaccount:shop:{ACCOUNT}", company.cluster.node_role),
        cloudtrail=tuple(_in_cloud(rng, company, trail, hour(13, 31, 12))),
        audit=tuple(audit),
    )


def _in_cluster(rng: random.Random, server: ApiServer, thief: Subject) -> list[AuditEvent]:
    at = hour(13, 10, 31)
    events: list[AuditEvent] = []
    for request in (*_asking(), *_breaking_out(), *_keeping()):
        events.extend(server.events(at, thief, request))
        at += max(request.lasts_s, 0) + rng.uniform(3, 40)
    return sorted(events, key=lambda event: event.at)


def _asking() -> list[Request]:
    """What may I do? Some of it is refused."""
    rules = {"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "spec": {"namespace": "shop"}}
    return [
        Request("create", "selfsubjectrulesreviews", code=201, body=rules),
        Request("list", "nodes", code=FORBIDDEN, query="limit=500"),
        Request("list", "secrets", "kube-system", code=FORBIDDEN, query="limit=500"),
        Request("list", "clusterrolebindings", code=FORBIDDEN, query="limit=500"),
        Request("list", "namespaces", code=FORBIDDEN, query="limit=500"),
        Request("list", "pods", "shop", query="limit=500"),
        Request("list", "secrets", "shop", query="limit=500"),
        Request("get", "secrets", "shop", "shop-api-database"),
    ]


def _breaking_out() -> list[Request]:
    """A shell in a running pod, then a pod that is the node."""
    command = "command=%2Fbin%2Fsh&container=shop-api&stdin=true&stdout=true&tty=true"
    inside = "command=chroot&command=%2Fhost&command=%2Fbin%2Fbash&container=debugger&stdin=true&stdout=true&tty=true"
    return [
        Request("create", "pods/exec", "shop", "shop-api-6d5f9c8b7-h2kqx", 101, 95.0, query=command),
        Request("create", "pods", "shop", POD, 201, body=_privileged_pod()),
        Request("get", "pods", "shop", POD),
        Request("create", "pods/exec", "shop", POD, 101, 240.0, query=inside),
    ]


def _keeping() -> list[Request]:
    """With what lay on the node: rights over the whole cluster for the stolen account."""
    binding = {
        "kind": "ClusterRoleBinding",
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": "metrics-reader-extended"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "shop"}],
    }
    return [
        Request("create", "clusterrolebindings", name="metrics-reader-extended", code=201, body=binding),
        Request("list", "secrets", query="limit=500"),
        Request("delete", "pods", "shop", POD),
    ]


def _privileged_pod() -> dict[str, Any]:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": POD, "namespace": "shop"},
        "spec": {
            "hostPID": True,
            "hostNetwork": True,
            "containers": [
                {
                    "name": "debugger",
                    "image": "docker.io/library/alpine:3.20",
                    "command": ["sleep", "3600"],
                    "securityContext": {"privileged": True, "allowPrivilegeEscalation": True, "runAsUser": 0},
                    "volumeMounts": [{"name": "host", "mountPath": "/host"}],
                }
            ],
            "volumes": [{"name": "host", "hostPath": {"path": "/", "type": "Directory"}}],
            "tolerations": [{"operator": "Exists"}],
        },
    }


def _in_cloud(rng: random.Random, company: Company, trail: Trail, at: float) -> list[Event]:
    """The node's credentials, used from outside the company's network."""
    role = Role(company.production, company.cluster.node_role, company.cluster.node_principal)
    node = company.cluster.nodes[1]
    session = Session(role, node.instance, trail.ids.key("ASIA"), trail.clock.seconds(at - 1500), delivery="2.0")
    thief = Caller(session.identity(), company.production, INTRUDER, _BOTO)
    events: list[Event] = []
    for call in _looking(session.arn):
        events.append(trail.event(at, thief, call))
        at += rng.uniform(2, 20)
    target = Role(company.production, "lantern-invoices", company.services[3].principal)
    changed = Session(target, "botocore-session-1732280000", trail.ids.key("ASIA"), trail.clock.seconds(at))
    assume = Call(
        "sts",
        "AssumeRole",
        parameters={"roleArn": target.arn, "roleSessionName": changed.name, "durationSeconds": 3600},
        response=issued_credentials(trail, at, changed),
        resources=((target.arn, "AWS::IAM::Role"),),
    )
    events.append(trail.event(at, thief, assume))
    taker = Caller(changed.identity(), company.production, INTRUDER, _BOTO)
    take = s3_object(company.services[3].bucket, "objects", "GetObject")
    for _ in range(40):
        at += rng.uniform(0.5, 4)
        events.append(trail.event(at, taker, take(trail.ids, company.production)))
    return events


def _looking(arn: str) -> list[Call]:
    def refused(service: str, name: str) -> Call:
        words = f"User: {arn} is not authorized to perform: {service}:{name} because no identity-based policy allows it"
        return Call(service, name, error=("AccessDenied", words))

    return [
        Call("sts", "GetCallerIdentity"),
        refused("iam", "ListRoles"),
        refused("iam", "ListAttachedRolePolicies"),
        refused("secretsmanager", "ListSecrets"),
        Call("s3", "ListBuckets", parameters={"Host": "s3.eu-central-1.amazonaws.com"}),
        Call("ec2", "DescribeInstances", parameters={"instancesSet": {}, "filterSet": {}}),
    ]
