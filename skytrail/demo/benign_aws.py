"""Ordinary AWS traffic: programs, AWS's own services, deployments. People are in `people.py`."""

from __future__ import annotations

import random
from typing import Final

from skytrail.demo import catalogue as c
from skytrail.demo.clock import hour, office_hours, steady
from skytrail.demo.cloudtrail import BOTO, SDK, TERRAFORM, Call, Event, Role, Trail, service_caller
from skytrail.demo.company import REGION, Account, Company, Service
from skytrail.demo.identifiers import Identifiers
from skytrail.demo.sessions import Credentials, Workload

DEPLOYMENTS: Final = 18
_PARTNER: Final = "333344445555"
_ASSETS_KEY: Final = "6f1d2b3c-0a4e-4c57-9f8e-2d7b1a5c9e30"


def benign_aws(rng: random.Random, company: Company, trail: Trail) -> list[Event]:
    """The ordinary events of machines in all three accounts; unordered."""
    events: list[Event] = []
    for service, count in zip(company.services, (1700, 1250, 750, 950), strict=True):
        events.extend(_run(rng, trail, _service_workload(company, service), _service_mix(service), count))
    for workload, mix, count in _platform(company, trail.ids):
        events.extend(_run(rng, trail, workload, mix, count))
    for node in company.cluster.nodes:
        role = Role(company.production, company.cluster.node_role, company.cluster.node_principal)
        workload = Workload(role, "machine", "ec2", node.instance, company.egress[0], SDK)
        events.extend(_run(rng, trail, workload, _node_mix(company), 300))
    events.extend(_log_delivery(rng, company, trail))
    events.extend(_deployments(rng, company, trail))
    return events


def _run(rng: random.Random, trail: Trail, workload: Workload, mix: c.Mix, count: int) -> list[Event]:
    """The calls, `count` of them, that a workload makes over the day, and the renewals of its credentials."""
    events: list[Event] = []
    credentials = Credentials(trail, workload)
    account = workload.role.account
    for at in steady(rng, count):
        caller = credentials.caller(at, events)
        make = rng.choices(mix.makes, mix.weights)[0]
        events.append(trail.event(at, caller, make(trail.ids, account)))
    return events


def service_role(company: Company, service: Service) -> Role:
    """The role that a service of the cluster works with."""
    return Role(company.production, f"lantern-{service.name}", service.principal)


def _service_workload(company: Company, service: Service) -> Workload:
    subject = f"system:serviceaccount:{service.namespace}:{service.name}"
    return Workload(service_role(company, service), "web_identity", subject, service.name, company.egress[0], SDK)


def _service_mix(service: Service) -> c.Mix:
    return c.mix(
        (34, c.s3_object(service.bucket, "objects", "GetObject")),
        (16, c.s3_object(service.bucket, "objects", "PutObject")),
        (5, c.s3_object(service.bucket, "objects", "HeadObject")),
        (2, c.s3_list(service.bucket, "objects/")),
        (18, c.dynamodb(service.table, "GetItem")),
        (9, c.dynamodb(service.table, "PutItem")),
        (7, c.dynamodb(service.table, "Query")),
        (5, c.kms("Decrypt", _ASSETS_KEY, "aws:s3:arn")),
        (1, c.secret(service)),
        (1.2, _missing_object(service)),
    )


def _missing_object(service: Service) -> c.Make:
    """Asking for an object that is not there: the everyday failure."""

    def make(ids: Identifiers, account: Account) -> Call:
        found = c.s3_object(service.bucket, "objects", "GetObject")(ids, account)
        return Call(
            "s3",
            "GetObject",
            data=True,
            parameters=found.parameters,
            error=("NoSuchKey", "The specified key does not exist."),
            resources=found.resources,
        )

    return make


def _platform(company: Company, ids: Identifiers) -> list[tuple[Workload, c.Mix, int]]:
    """Programs that look after everything else: (workload, what it calls, how often)."""
    account, outside, inside = company.production, "192.0.2.18", company.egress[1]

    def role(name: str) -> Role:
        return Role(account, name, ids.principal("AROA"))

    def irsa(name: str, namespace: str) -> Workload:
        subject = f"system:serviceaccount:{namespace}:{name}"
        return Workload(role(f"lantern-{name}"), "web_identity", subject, name, inside, SDK)

    def linked(name: str, service: str, session: str) -> Workload:
        host = f"{service}.amazonaws.com"
        return Workload(role(name), "service", host, session, host, host)

    partner = Workload(
        role("observability-reader"),
        "partner",
        f"AROAOBSERVABILITY7:{_PARTNER}",
        "observability",
        outside,
        BOTO,
    )
    nightly = Workload(role("lantern-report"), "lambda", "report", "lantern-report", inside, BOTO)
    secrets = c.mix(
        *((1.0, c.secret(s)) for s in company.services), (1, c.secret(company.services[0], "DescribeSecret"))
    )
    return [
        (partner, c.mix(*_OBSERVED), 2300),
        (irsa("cluster-autoscaler", "kube-system"), c.mix(*_AUTOSCALER), 620),
        (irsa("load-balancer-controller", "kube-system"), c.mix(*_BALANCERS), 640),
        (irsa("external-secrets", "platform"), secrets, 280),
        (linked("AWSServiceRoleForConfig", "config", "AWSConfig-Describe"), c.mix(*_CONFIG), 820),
        (linked("AWSServiceRoleForRDS", "rds", "rds-manager"), c.mix((1, _database_key)), 330),
        (linked("AWSServiceRoleForSecurityHub", "securityhub", "securityhub"), c.mix(*_REVIEW), 260),
        (linked("AWSServiceRoleForBackup", "backup", "AWSBackup-lantern"), c.mix((1, _snapshot)), 24),
        (nightly, c.mix((3, c.s3_object("lantern-reports", "daily", "PutObject")), (7, _report_read)), 620),
    ]


_OBSERVED: Final = (
    *c.reads("monitoring", "ListMetrics", "DescribeAlarms", "GetMetricStatistics"),
    *c.reads("ec2", "DescribeInstances", "DescribeInstanceStatus", "DescribeVolumes", "DescribeNatGateways"),
    *c.reads("rds", "DescribeDBInstances", "DescribeDBClusters", "ListTagsForResource"),
    *c.reads("elasticloadbalancing", "DescribeLoadBalancers", "DescribeTargetHealth"),
    *c.reads("lambda", "ListFunctions20150331", "GetAccountSettings20160819"),
    *c.reads("tagging", "GetResources"),
    *c.reads("sqs", "ListQueues", "GetQueueAttributes"),
)
_AUTOSCALER: Final = (
    *c.reads("autoscaling", "DescribeAutoScalingGroups", "DescribeAutoScalingInstances", "DescribeScalingActivities"),
    *c.reads("ec2", "DescribeLaunchTemplateVersions", "DescribeInstanceTypes"),
    *c.reads("eks", "DescribeNodegroup"),
)
_BALANCERS: Final = (
    *c.reads("elasticloadbalancing", "DescribeLoadBalancers", "DescribeListeners", "DescribeRules", "DescribeTags"),
    *c.reads("elasticloadbalancing", "DescribeTargetGroups", "DescribeTargetHealth"),
    *c.reads("ec2", "DescribeSubnets", "DescribeVpcs", "DescribeAvailabilityZones"),
)
_CONFIG: Final = (
    *c.reads("ec2", "DescribeVpcs", "DescribeRouteTables", "DescribeNetworkAcls", "DescribeVolumes"),
    *c.reads("s3", "GetBucketVersioning", "GetBucketTagging", "GetBucketLocation", "GetBucketEncryption"),
    *c.reads("dynamodb", "DescribeTable", "DescribeContinuousBackups"),
    *c.reads("kms", "DescribeKey", "GetKeyRotationStatus"),
    *c.reads("cloudtrail", "DescribeTrails", "GetTrailStatus"),
)
_REVIEW: Final = (
    *c.reads("guardduty", "ListDetectors", "GetDetector"),
    *c.reads("config", "DescribeConfigurationRecorders", "DescribeConfigRules"),
    *c.reads("s3", "GetBucketPublicAccessBlock", "GetBucketLogging"),
)
_database_key: Final = c.kms("GenerateDataKey", "0c9f3f5e-7d58-4b1e-8a44-9e6fd2b7a811", "aws:rds:db-id")
_report_read: Final = c.s3_object("lantern-reports", "raw", "GetObject")


def _snapshot(ids: Identifiers, _account: Account) -> Call:
    volume = ids.resource("vol")
    return Call(
        "ec2",
        "CreateSnapshot",
        read_only=False,
        parameters={"volumeId": volume, "description": "nightly backup"},
        response={"snapshotId": ids.resource("snap"), "volumeId": volume, "status": "pending", "encrypted": True},
    )


def _node_mix(company: Company) -> c.Mix:
    images = [(1.0, c.container_image(s, name)) for s in company.services for name in _IMAGE_CALLS]
    return c.mix(
        *images,
        (3, lambda _ids, _account: Call("ecr", "GetAuthorizationToken")),
        (3, lambda _ids, _account: Call("eks", "DescribeCluster", parameters={"name": company.cluster.name})),
        *c.reads("ec2", "DescribeInstances", "DescribeVolumes", "DescribeNetworkInterfaces"),
    )


_IMAGE_CALLS: Final = ("BatchGetImage", "GetDownloadUrlForLayer", "BatchCheckLayerAvailability")


def _log_delivery(rng: random.Random, company: Company, trail: Trail) -> list[Event]:
    """CloudTrail writes its own files into the archive account: most of the noise of a real trail."""
    caller = service_caller("cloudtrail", company.archive)
    events = []
    for at in steady(rng, 620):
        owner = rng.choice(company.accounts).number
        prefix = f"AWSLogs/{owner}/CloudTrail/{REGION}"
        put = c.s3_object(company.log_bucket, prefix, "PutObject")(trail.ids, company.archive)
        key = c.kms("GenerateDataKey", "3a7be1d0-52c6-4d0b-93c5-c6e0f9aa7f12", "aws:cloudtrail:arn")
        events.append(trail.event(at, caller, key(trail.ids, company.archive)))
        events.append(trail.event(at, caller, put))
        if rng.random() < 0.3:  # noqa: PLR2004 - CloudTrail looks at the bucket before some of its writes
            look = Call("s3", "GetBucketAcl", parameters={"bucketName": company.log_bucket, "acl": ""})
            events.append(trail.event(at, caller, look))
    return events


def _deployments(rng: random.Random, company: Company, trail: Trail) -> list[Event]:
    """Runs of the deployment pipeline: a federated session, images pushed, a function updated, a plan made."""
    events: list[Event] = []
    role = Role(company.production, "lantern-deploy", trail.ids.principal("AROA"))
    for run in range(DEPLOYMENTS):
        service = rng.choice(company.services)
        subject = f"repo:lantern-freight/{service.name}:ref:refs/heads/main"
        session = f"GitHubActions-{4180 + run}"
        address = f"203.0.113.{rng.randrange(64, 80)}"
        credentials = Credentials(trail, Workload(role, "web_identity", subject, session, address, TERRAFORM))
        at = min(office_hours(rng), hour(18))
        for make in _pipeline(service):
            at += rng.uniform(0.4, 6)
            events.append(trail.event(at, credentials.caller(at, events), make(trail.ids, company.production)))
    return events


def _pipeline(service: Service) -> list[c.Make]:
    pushes = ("InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage")
    return [
        lambda _ids, _account: Call("sts", "GetCallerIdentity"),
        lambda _ids, _account: Call("ecr", "GetAuthorizationToken"),
        *(c.updates("ecr", name, service.name) for name in pushes),
        c.s3_object("lantern-terraform-state", service.name, "GetObject"),
        *(make for _, make in c.reads("ec2", "DescribeVpcs", "DescribeSubnets", "DescribeSecurityGroups")),
        *(make for _, make in c.reads("iam", "GetRole", "ListRolePolicies", "ListAttachedRolePolicies")),
        *(make for _, make in c.reads("eks", "DescribeCluster", "DescribeAddon")),
        c.updates("cloudformation", "ExecuteChangeSet", f"lantern-{service.name}"),
        c.s3_object("lantern-terraform-state", service.name, "PutObject"),
    ]
