"""The set-up files as their own tools read them, and what they allow."""

from __future__ import annotations

import io
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import hcl2
import pytest
import yaml
from cfnlint.api import lint_all

from ingest.formats.registry import format_named
from ingest.schema.envelope import MAX_RECORD_BYTES
from ingest.schema.errors import ConfigError
from ingest.transports.kubernetes_webhook.settings import KubernetesWebhookSettings
from ingest.transports.registry import as_collector
from skytrail.onboarding import aws, azure, gcp, kubernetes, oci
from skytrail.onboarding.setup_files import SetUp

READER = "arn:aws:iam::123456789012:role/skytrail"
WORD = "a-word-of-sixteen"
GUID = "11111111-2222-3333-4444-555555555555"
AWS = aws.AwsSource(name="trail-one", region="eu-central-1", reader=READER, external_id=WORD)
DELEGATED = replace(AWS, organisation="o-a1b2c3d4e5", management_account="999999999999")
AZURE = azure.AzureSource(name="skytrail", subscription=GUID, region="westeurope", reader=GUID)
GCP = gcp.GcpSource(name="skytrail-logs", project="my-project", readers=("user:ada@example.org",))
FLOW = {"connection": {"src_ip": "10.0.0.2", "dest_ip": "10.0.0.3", "protocol": 6}}
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
    "aws of a delegated administrator": lambda: aws.set_up(DELEGATED),
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


@pytest.mark.parametrize(
    ("tool", "file", "own"),
    [
        ("cloudformation", "skytrail-cloudtrail.yaml", r"(cloudtrail:\S*|AWSLogs/)\$\{AWS::AccountId\}"),
        ("terraform", "main.tf", r"cloudtrail:\S*\$\{local.account\}|prefixes\b.*local.account"),
    ],
)
def test_a_trail_that_a_delegated_administrator_makes_is_let_in_as_one_of_the_management_account(
    tool: aws.Tool, file: str, own: str
) -> None:
    text = text_of(aws.set_up(replace(DELEGATED, tool=tool)), file)
    assert '"999999999999"' in text
    assert re.findall(own, text) == []  # AWS names the owner of the trail as its source, not who made it


def test_the_provider_of_azure_can_make_an_account_that_takes_no_keys() -> None:
    made = hcl2.loads(text_of(azure.set_up(AZURE), "main.tf"))
    (provider,) = (each['"azurerm"'] for each in made["provider"])
    assert provider["storage_use_azuread"] is True
    assert provider["features"][0]["storage"][0]["data_plane_available"] is False
    (required,) = made["terraform"][0]["required_providers"]
    assert required["azurerm"]["version"].strip('"').startswith("~>")  # the next major one takes words away


def test_storage_accounts_are_asked_by_their_services_since_they_log_nothing_themselves() -> None:
    text = text_of(azure.set_up(AZURE), "main.tf")
    (setting,) = re.findall(r'"azurerm_monitor_diagnostic_setting" "storage" \{(.*?)\n\}', text, re.DOTALL)
    assert '"${pair[0]}/${pair[1]}/default"' in setting
    assert re.findall(r'"(Storage\w+)"', setting) == ["StorageRead", "StorageWrite", "StorageDelete"]


def test_the_sink_of_google_lets_every_kind_of_flow_log_through_that_its_format_reads() -> None:
    text = text_of(gcp.set_up(GCP), "main.tf")
    (listed,) = re.findall(r"logs += \[(.*)\]", text)
    flows = [name for name in json.loads(f"[{listed}]") if name.endswith("vpc_flows")]
    for name in flows:
        record = {"logName": f"projects/p/logs/{name}", "timestamp": "2026-11-26T10:00:00Z", "jsonPayload": FLOW}
        assert format_named("gcp.vpcflow").recognise(json.dumps(record).encode()), name
    assert {name.split(".")[0] for name in flows} == {"compute", "networkmanagement"}


def test_a_reader_of_oracle_has_an_address_where_one_is_given_and_is_told_who_asks_for_it() -> None:
    given = oci.set_up(replace(OCI, email="skytrail@example.org"))
    assert 'default     = "skytrail@example.org"' in text_of(given, "main.tf")
    assert "--reader-email" not in given.steps[0]
    assert "--reader-email" in oci.set_up(OCI).steps[0]


def test_a_cluster_of_eks_keeps_its_own_name_beside_that_of_the_collector() -> None:
    found = kubernetes.set_up(replace(EKS, cluster="Shop_1"))
    template = yaml.load(text_of(found, "eks-audit-stream.yaml"), _Tags)
    assert template["Parameters"]["ClusterName"]["Default"] == "Shop_1"
    assert tomllib.loads(found.collector)["collectors"]["shop"]["kinesis"]["stream"] == "Shop_1-audit"


def test_an_api_server_sends_nothing_that_its_collector_refuses_as_too_large() -> None:
    flags = yaml.safe_load(text_of(kubernetes.set_up(CLUSTER), "kubeadm-apiserver.yaml"))["apiServer"]["extraArgs"]
    given = {flag["name"].removeprefix("audit-webhook-truncate-"): flag["value"] for flag in flags}
    assert given["enabled"] == "true"
    event, batch = int(given["max-event-size"]), int(given["max-batch-size"])
    assert 2 * 1.5 * 1024**2 < event < MAX_RECORD_BYTES  # an object of etcd as asked and as answered
    assert event < batch < KubernetesWebhookSettings.model_fields["max_body_bytes"].default


def level(policy: dict[str, Any], user: str, path: str) -> str:
    """As the API server decides for a request that is for no resource: the first rule that fits."""
    for rule in policy["rules"]:
        paths = rule.get("nonResourceURLs")
        if "resources" in rule or user not in rule.get("users", [user]):
            continue
        if paths is None or any(fnmatchcase(path, pattern) for pattern in paths):
            found: str = rule["level"]
            return found
    return "None"


@pytest.mark.parametrize(
    ("user", "path", "logged"),
    [
        ("system:anonymous", "/livez", "None"),  # the kubelet does not log in
        ("system:anonymous", "/version", "Metadata"),
        ("system:anonymous", "/openapi/v2", "Metadata"),
        ("system:apiserver", "/openapi/v2", "None"),
        ("ada", "/healthz", "Metadata"),
    ],
)
def test_the_audit_policy_leaves_health_checks_out_and_nothing_that_someone_looks_around_with(
    user: str, path: str, logged: str
) -> None:
    assert level(yaml.safe_load(text_of(kubernetes.set_up(CLUSTER), "audit-policy.yaml")), user, path) == logged


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
        (lambda: aws.set_up(replace(DELEGATED, management_account="all")), "the management account"),
        (lambda: aws.set_up(replace(DELEGATED, organisation="")), "the management account"),
        (lambda: oci.set_up(replace(OCI, email='x"@y')), "the e-mail address"),
        (lambda: kubernetes.set_up(replace(EKS, cluster='x"')), "the cluster"),
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
