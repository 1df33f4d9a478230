"""Ordinary traffic of the cluster: nodes, the control plane, controllers, deployments, people looking."""

from __future__ import annotations

import random
from typing import Any, Final

from skytrail.demo.audit import (
    FORBIDDEN,
    KUBECTL,
    ApiServer,
    AuditEvent,
    Request,
    Subject,
    component,
    kubelet,
    mapped_role,
    service_account,
)
from skytrail.demo.benign_aws import DEPLOYMENTS
from skytrail.demo.clock import hour, office_hours, steady
from skytrail.demo.cloudtrail import Role, Session
from skytrail.demo.company import Company, Service

_CONTROL_PLANE: Final = "10.20.0.12"
_BALANCER: Final = "10.20.0.40"
_PLATFORM: Final = "platform"


def benign_kubernetes(rng: random.Random, company: Company, server: ApiServer) -> list[AuditEvent]:
    """The ordinary audit events of the cluster; unordered."""
    asked: list[tuple[float, Subject, Request]] = []
    for part in (_nodes, _control_plane, _controllers, _probes, _jobs, _rollouts, _people):
        asked.extend(part(rng, company, server))
    return [event for at, subject, request in asked for event in server.events(at, subject, request)]


Asked = list[tuple[float, Subject, Request]]


def _nodes(rng: random.Random, company: Company, _server: ApiServer) -> Asked:
    """Every node renews its lease, reports its state, fetches tokens and configuration for its pods."""
    asked: Asked = []
    for node in company.cluster.nodes:
        subject = kubelet(node)
        lease = Request("update", "leases", "kube-node-lease", node.name)
        asked.extend((second + rng.random(), subject, lease) for second in range(2, 24 * 3600 - 2, 450))
        state = Request("patch", "nodes/status", name=node.name)
        asked.extend((second + rng.random(), subject, state) for second in range(40, 24 * 3600 - 2, 900))
        for at in steady(rng, 60):
            service = rng.choice(company.services)
            asked.append(
                (at, subject, Request("create", "serviceaccounts/token", service.namespace, service.name, 201))
            )
        for at in steady(rng, 40):
            service = rng.choice(company.services)
            asked.append((at, subject, Request("get", "configmaps", service.namespace, f"{service.name}-config")))
            asked.append((at + 0.01, subject, Request("get", "secrets", service.namespace, f"{service.name}-database")))
    return asked


def _control_plane(rng: random.Random, company: Company, _server: ApiServer) -> Asked:
    manager = component("kube-controller-manager", _CONTROL_PLANE)
    scheduler = component("kube-scheduler", _CONTROL_PLANE)
    asked: Asked = []
    for at in steady(rng, 150):
        asked.append((at, manager, Request("update", "leases", "kube-system", "kube-controller-manager")))
    for at in steady(rng, 150):
        asked.append((at, scheduler, Request("update", "leases", "kube-system", "kube-scheduler")))
    for at in steady(rng, 150):
        service = rng.choice(company.services)
        slice_name = f"{service.name}-{service.principal[-5:].lower()}"
        asked.append((at, manager, Request("update", "endpointslices", service.namespace, slice_name)))
    watched = ("pods", "services", "endpointslices", "configmaps", "nodes", "deployments")
    for at in steady(rng, 200):
        who = component("kube-proxy", rng.choice(company.cluster.nodes).address)
        query = "allowWatchBookmarks=true&resourceVersion=88123040&timeoutSeconds=420&watch=true"
        # A watch that ends after the day would be recorded tomorrow.
        lasts = min(rng.uniform(300, 560), 24 * 3600 - 1 - at)
        asked.append((at, who, Request("watch", rng.choice(watched), lasts_s=max(lasts, 0.01), query=query)))
    return asked


def _controllers(rng: random.Random, company: Company, server: ApiServer) -> Asked:
    """Programs that keep the cluster as it should be; two of them read secrets, as is their task."""
    asked: Asked = []

    def run(name: str, count: int, *requests: Request) -> None:
        pod = f"{name}-{server.ids.suffix(9)}-{server.ids.suffix(5)}"
        agent = f"{name}/v1.18.2 (linux/arm64) {name}"
        subject = service_account(_PLATFORM, name, pod, rng.choice(company.cluster.nodes).address, agent)
        asked.extend((at, subject, rng.choice(requests)) for at in steady(rng, count))

    databases = [Request("get", "secrets", s.namespace, f"{s.name}-database") for s in company.services]
    run("external-secrets", 110, *databases, Request("update", "leases", _PLATFORM, "external-secrets"))
    run(
        "cert-manager",
        110,
        Request("get", "secrets", "shop", "shop-tls"),
        Request("get", "certificates", "shop", "shop-tls"),
        Request("update", "leases", _PLATFORM, "cert-manager-controller"),
    )
    deployments = [Request("get", "deployments", s.namespace, s.name) for s in company.services]
    applied = [Request("patch", "applications", _PLATFORM, s.name) for s in company.services]
    run("argocd-application-controller", 280, *deployments, *applied)
    reviews = Request("create", "subjectaccessreviews", code=201)
    run("metrics-server", 190, reviews, Request("create", "tokenreviews", code=201))
    scaled = [Request("update", "horizontalpodautoscalers/status", s.namespace, s.name) for s in company.services]
    run("horizontal-autoscaler", 170, *scaled)
    run("ingress-nginx", 120, Request("update", "ingresses/status", "shop", "shop"), *deployments[:1])
    run("orders-operator", 24, Request("update", "configmaps", "shop", "orders-worker-state", code=409))
    return asked


def _probes(rng: random.Random, _company: Company, _server: ApiServer) -> Asked:
    """The load balancer in front of the API server asks for its health without a name, as the cluster allows."""
    user = {"username": "system:anonymous", "groups": ["system:unauthenticated"]}
    subject = Subject(user, _BALANCER, "ELB-HealthChecker/2.0")
    return [(at, subject, Request("get", "", path=rng.choice(("/livez", "/readyz")))) for at in steady(rng, 140)]


def _jobs(rng: random.Random, _company: Company, server: ApiServer) -> Asked:
    """The hourly job: its controller makes a job, the job a pod, the pod ends."""
    controller = component("kube-controller-manager", _CONTROL_PLANE)
    asked: Asked = []
    for run in range(24):
        at = hour(run, 5) + rng.uniform(0, 3)
        job = f"exchange-rates-{29_440_000 + run * 60}"
        pod = f"{job}-{server.ids.suffix(5)}"
        asked.append((at, controller, Request("create", "jobs", "billing", job, 201)))
        asked.append((at + 0.1, controller, Request("create", "pods", "billing", pod, 201, body=_pod(pod, "rates"))))
        asked.append((at + 0.3, component("kube-scheduler", _CONTROL_PLANE), _binding("billing", pod)))
        asked.append((at + 40, controller, Request("update", "jobs/status", "billing", job)))
        asked.append((at + 41, controller, Request("patch", "cronjobs/status", "billing", "exchange-rates")))
    return asked


def _rollouts(rng: random.Random, company: Company, server: ApiServer) -> Asked:
    """Each deployment of the pipeline replaces the pods of a service."""
    manager = component("kube-controller-manager", _CONTROL_PLANE)
    asked: Asked = []
    for run in range(DEPLOYMENTS):
        service = rng.choice(company.services)
        at = min(office_hours(rng), hour(19))
        deploy = service_account(
            "platform", "argocd-application-controller", "argocd-0", "10.20.11.66", "argocd/v3.1.9"
        )
        replica = f"{service.name}-{server.ids.suffix(10)}"
        asked.append(
            (at, deploy, Request("patch", "deployments", service.namespace, service.name, body=_image(service, run)))
        )
        asked.append((at + 0.2, manager, Request("create", "replicasets", service.namespace, replica, 201)))
        for _ in range(3):
            at += rng.uniform(1, 9)
            asked.extend(_new_pod(rng, company, server, service, at=at, replica=replica))
        asked.append((at + 5, manager, Request("update", "deployments/status", service.namespace, service.name)))
    return asked


def _new_pod(
    rng: random.Random, company: Company, server: ApiServer, service: Service, *, at: float, replica: str
) -> Asked:
    manager = component("kube-controller-manager", _CONTROL_PLANE)
    pod = f"{replica}-{server.ids.suffix(5)}"
    node = kubelet(rng.choice(company.cluster.nodes))
    body = _pod(pod, service.name)
    return [
        (at, manager, Request("create", "pods", service.namespace, pod, 201, body=body)),
        (at + 0.1, component("kube-scheduler", _CONTROL_PLANE), _binding(service.namespace, pod)),
        (at + 0.9, node, Request("get", "pods", service.namespace, pod)),
        (at + 1.4, node, Request("patch", "pods/status", service.namespace, pod)),
        (at + 2.2, node, Request("create", "events", service.namespace, f"{pod}.{server.ids.hexadecimal(16)}", 201)),
    ]


def _people(rng: random.Random, company: Company, server: ApiServer) -> Asked:
    """Developers and the platform team look at pods and their logs; sometimes they may not, or mistype a name."""
    asked: Asked = []
    for person in company.people:
        if person.duty not in ("Developer", "Platform"):
            continue
        role = Role(company.production, f"Lantern{person.duty}", server.ids.principal("AROA"))
        session = Session(role, person.user, server.ids.key("ASIA"), "")
        subject = mapped_role(session, (f"lantern:{person.duty.lower()}s",), person.address, KUBECTL)
        at = office_hours(rng) - hour(2)
        for _ in range(rng.randrange(14, 24)):
            at += rng.uniform(4, 900)
            asked.append((at, subject, _look(rng, company, server)))
    return asked


def _look(rng: random.Random, company: Company, server: ApiServer) -> Request:
    service = rng.choice(company.services)
    pod = f"{service.name}-{server.ids.suffix(10)}-{server.ids.suffix(5)}"
    looks = (
        Request("list", "pods", service.namespace, query="limit=500"),
        Request("get", "pods", service.namespace, pod),
        Request("get", "pods/log", service.namespace, pod, lasts_s=0.3, query="tailLines=200"),
        Request("get", "deployments", service.namespace, service.name),
        Request("list", "events", service.namespace, query="limit=500"),
        Request("get", "pods", service.namespace, pod, code=404),
        Request("list", "ingresses", service.namespace, query="limit=500"),
        Request("patch", "horizontalpodautoscalers", service.namespace, service.name, code=FORBIDDEN),
    )
    return rng.choices(looks, (8, 6, 7, 5, 4, 1, 2, 0.6))[0]


def _binding(namespace: str, pod: str) -> Request:
    return Request("create", "pods/binding", namespace, pod, 201)


def _image(service: Service, run: int) -> dict[str, Any]:
    image = f"777788889999.dkr.ecr.eu-central-1.amazonaws.com/{service.name}:1.{run}.0"
    return {"spec": {"template": {"spec": {"containers": [{"name": service.name, "image": image}]}}}}


def _pod(name: str, container: str) -> dict[str, Any]:
    """A pod as it should be: no privileges, no host, a read-only root."""
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"app": container}},
        "spec": {
            "containers": [
                {
                    "name": container,
                    "image": f"777788889999.dkr.ecr.eu-central-1.amazonaws.com/{container}:1.0.0",
                    "resources": {"limits": {"memory": "256Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "privileged": False,
                        "readOnlyRootFilesystem": True,
                        "runAsNonRoot": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
            "automountServiceAccountToken": False,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        },
    }
