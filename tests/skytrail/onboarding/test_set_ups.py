"""The set-up files as their own tools read them, and what they allow."""

from __future__ import annotations

import io
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import hcl2
import pytest
import yaml
from cfnlint.api import lint_all

from ingest.schema.errors import ConfigError
from ingest.transports.registry import as_collector
from skytrail.onboarding import aws, azure, gcp, kubernetes, oci
from skytrail.onboarding.setup_files import SetUp

READER = "arn:aws:iam::123456789012:role/skytrail"
WORD = "a-word-of-sixteen"
GUID = "11111111-2222-3333-4444-555555555555"
AWS = aws.AwsSource(name="trail-one", region="eu-central-1", reader=READER, external_id=WORD)
AZURE = azure.AzureSource(name="skytrail", subscription=GUID, region="westeurope", reader=GUID)
GCP = gcp.GcpSource(name="skytrail-logs", project="my-project", readers=("user:ada@example.org",))
OCI = oci.OciSource(
    name="skytrail",
    region="eu-frankfurt-1",
    tenancy="ocid1.tenancy.oc1..aaaa",
    compartment="ocid1.compartment.oc1..bbbb",
)
CLUSTER = kubernetes.KubernetesSource(name="production", host="audit.example.org")
EKS = kubernetes.KubernetesSource(name="shop", region="eu-central-1", reader=READER, external_id=WORD)

EVERY = {
    "aws": lambda: aws.set_up(AWS),
    "aws of an organisation with data events": lambda: aws.set_up(
        replace(AWS, organisation="o-a1b2c3d4e5", data_events=True)
    ),
    "aws in terraform": lambda: aws.set_up(replace(AWS, tool="terraform")),
    "azure": lambda: azure.set_up(AZURE),
    "gcp": lambda: gcp.set_up(GCP),
    "gcp of an organisation": lambda: gcp.set_up(replace(GCP, organisation="123456789012", data_access=True)),
    "oci": lambda: oci.set_up(OCI),
    "kubernetes": lambda: kubernetes.set_up(CLUSTER),
    "eks": lambda: kubernetes.set_up(EKS),
}


@pytest.fixture(params=EVERY.values(), ids=EVERY.keys())
def found(request: pytest.FixtureRequest) -> SetUp:
    make: Callable[[], SetUp] = request.param
    return make()


def text_of(found: SetUp, name: str) -> str:
    return next(file.text for file in found.files if file.name == name)


def test_no_place_is_left_unfilled(found: SetUp) -> None:
    assert [file.name for file in found.files if re.search(r"@\{", file.text)] == []


def test_each_file_is_accepted_by_the_parser_of_its_language(found: SetUp) -> None:
    for file in found.files:
        match file.name.rsplit(".", 1)[-1]:
            case "tf":
                assert hcl2.load(io.StringIO(file.text))["resource"]
            case "yaml" if "AWSTemplateFormatVersion" in file.text:
                told = [str(match) for match in lint_all(file.text)]
                assert [line for line in told if not line.startswith("[I")] == []  # advice is not a fault
            case "yaml":
                assert yaml.safe_load(file.text)["kind"]
            case kind:
                assert kind == "md"


def test_the_collector_is_a_section_of_the_settings(found: SetUp) -> None:
    collectors = tomllib.loads(found.collector)["collectors"]
    for collector in collectors.values():
        assert collector["format"]
        assert collector["namespace"] == "default"


@pytest.mark.parametrize("name", ["aws", "aws in terraform", "kubernetes"])
def test_the_printed_collector_is_accepted_by_its_transport(name: str) -> None:
    for collector in tomllib.loads(EVERY[name]().collector)["collectors"].values():
        assert as_collector(collector).own


def test_a_check_and_a_collect_are_among_the_steps(found: SetUp) -> None:
    names = list(tomllib.loads(found.collector)["collectors"])
    assert any(f"skytrail onboard check {names[0]}" in step for step in found.steps)
    assert any(f"skytrail collect {names[0]}" in step for step in found.steps)


class _Tags(yaml.SafeLoader):
    """CloudFormation's short tags as their bare values."""


_Tags.add_multi_constructor("!", lambda _, tag, node: f"!{tag} {node.value}")


def statements(found: SetUp, resource: str) -> list[dict[str, Any]]:
    template = yaml.load(text_of(found, "skytrail-cloudtrail.yaml"), _Tags)
    properties: dict[str, Any] = template["Resources"][resource]["Properties"]
    listed: list[dict[str, Any]] = properties["PolicyDocument"]["Statement"]
    return listed


def test_the_reader_of_a_trail_can_read_and_nothing_else() -> None:
    allowed: set[str] = set()
    for statement in statements(aws.set_up(AWS), "ReaderPolicy"):
        actions = statement["Action"]
        allowed |= {actions} if isinstance(actions, str) else set(actions)
    assert allowed == {
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:GetBucketNotification",
        "cloudtrail:DescribeTrails",
        "cloudtrail:ListPublicKeys",
        "cloudtrail:GetTrailStatus",
        "cloudtrail:GetEventSelectors",
    }


def test_both_languages_allow_the_reader_the_same() -> None:
    terraform = text_of(aws.set_up(replace(AWS, tool="terraform")), "main.tf")
    block = terraform[terraform.index('data "aws_iam_policy_document" "reader"') :]
    block = block[: block.index("\nresource ")]
    allowed = set(re.findall(r'"((?:sqs|s3|cloudtrail|kms):\w+)"', block))
    template = {
        action
        for statement in statements(aws.set_up(AWS), "ReaderPolicy")
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert allowed == template


def test_the_trail_logs_every_region_with_digests() -> None:
    for source, file in ((AWS, "skytrail-cloudtrail.yaml"), (replace(AWS, tool="terraform"), "main.tf")):
        text = text_of(aws.set_up(source), file).replace("_", "").lower()
        assert re.search(r"ismultiregiontrail\s*[:=] true", text)
        assert re.search(r"enablelogfilevalidation\s*[:=] true", text)


def test_the_audit_policy_never_logs_the_body_of_a_secret() -> None:
    policy = yaml.safe_load(text_of(kubernetes.set_up(CLUSTER), "audit-policy.yaml"))
    deciding = next(
        rule
        for rule in policy["rules"]
        if "users" not in rule
        and "userGroups" not in rule
        and any("secrets" in one.get("resources", ["secrets"]) for one in rule.get("resources", [{"group": ""}]))
    )
    assert deciding["level"] == "Metadata"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: aws.set_up(replace(AWS, name='x" }')), "the name"),
        (lambda: aws.set_up(replace(AWS, reader="*")), "the reader"),
        (lambda: aws.set_up(replace(AWS, external_id="short")), "the external id"),
        (lambda: aws.set_up(replace(AWS, organisation="mine")), "the organisation"),
        (lambda: azure.set_up(replace(AZURE, subscription="all")), "the subscription"),
        (lambda: gcp.set_up(replace(GCP, readers=('x"',))), "the reader"),
        (lambda: oci.set_up(replace(OCI, tenancy="root")), "the tenancy"),
        (lambda: kubernetes.set_up(replace(CLUSTER, host="a b")), "the host"),
        (lambda: kubernetes.set_up(replace(EKS, region="here")), "the region"),
    ],
)
def test_a_value_that_could_break_out_of_its_file_is_refused(make: Callable[[], SetUp], word: str) -> None:
    with pytest.raises(ConfigError, match=f"checking {word}"):
        make()
