"""What `skytrail onboard` prints for skytrail.toml is what the transports accept."""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import hcl2
import pytest
import yaml

from ingest.formats.recognition import AUTO, chosen
from ingest.formats.registry import format_named
from ingest.schema.errors import ConfigError
from ingest.transports.kubernetes_webhook.settings import KubernetesWebhookSettings
from ingest.transports.kubernetes_webhook.transport import KubernetesWebhook
from ingest.transports.registry import as_collector, inspect
from skytrail.onboarding.aws import AwsSource
from skytrail.onboarding.aws import set_up as set_up_aws
from skytrail.onboarding.azure import AzureSource
from skytrail.onboarding.azure import set_up as set_up_azure
from skytrail.onboarding.gcp import GcpSource
from skytrail.onboarding.gcp import set_up as set_up_gcp
from skytrail.onboarding.kubernetes import KubernetesSource
from skytrail.onboarding.kubernetes import set_up as set_up_kubernetes
from skytrail.onboarding.oci import OciSource
from skytrail.onboarding.oci import set_up as set_up_oci
from skytrail.onboarding.setup_files import SetUp
from tests.ingest.fakes import Told
from tests.ingest.transports.contract import pull

READER = "arn:aws:iam::123456789012:role/skytrail"
AWS = AwsSource(name="trail", region="eu-central-1", reader=READER, external_id="a-word-of-sixteen", namespace="prod")
OWN = KubernetesSource(name="orchard", namespace="prod")
EKS = KubernetesSource(
    name="shop", region="eu-central-1", reader=READER, external_id="a-word-of-sixteen", namespace="prod"
)
GCP = GcpSource(name="skytrail-logs", project="my-project", namespace="prod")
GUID = "11111111-2222-3333-4444-555555555555"
AZURE = AzureSource(name="sky-trail", subscription=GUID, region="westeurope", reader=GUID, namespace="prod")
OCI = OciSource(
    name="skytrail",
    region="eu-frankfurt-1",
    tenancy="ocid1.tenancy.oc1..aaaa",
    compartment="ocid1.compartment.oc1..aaaa",
    namespace="prod",
)


@pytest.mark.parametrize(
    ("set_up", "transport"),
    [
        (set_up_aws(AWS), "s3_sqs"),
        (set_up_azure(AZURE), "event_hubs"),
        (set_up_gcp(GCP), "pubsub"),
        (set_up_kubernetes(EKS), "kinesis"),
        (set_up_kubernetes(OWN), "kubernetes_webhook"),
        (set_up_oci(OCI), "kafka"),
    ],
)
def test_each_printed_section_is_a_collector(set_up: SetUp, transport: str) -> None:
    collectors = tomllib.loads(set_up.collector)["collectors"].values()
    for collector in map(as_collector, collectors):
        assert (collector.transport, collector.namespace) == (transport, "prod")
        resolved = chosen(collector.format)  # as the collector does; refuses what is no format
        assert (resolved.name if resolved else AUTO) == collector.format


SET_UPS: list[Callable[[str], SetUp]] = [
    lambda namespace: set_up_aws(replace(AWS, namespace=namespace)),
    lambda namespace: set_up_azure(replace(AZURE, namespace=namespace)),
    lambda namespace: set_up_gcp(replace(GCP, namespace=namespace)),
    lambda namespace: set_up_kubernetes(replace(EKS, namespace=namespace)),
    lambda namespace: set_up_kubernetes(replace(OWN, namespace=namespace)),
    lambda namespace: set_up_oci(replace(OCI, namespace=namespace)),
]


@pytest.mark.parametrize("namespace", ['prod"\n[kafka]\nusername = "x', "Prod", "", "a-b", "prod\n"])
@pytest.mark.parametrize("set_up", SET_UPS)
def test_a_namespace_that_no_collector_may_have_is_refused_and_not_printed(
    set_up: Callable[[str], SetUp], namespace: str
) -> None:
    with pytest.raises(ConfigError, match="checking the namespace"):
        set_up(namespace)


@pytest.mark.parametrize(
    ("region", "partition", "domain"),
    [
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
    ],
)
def test_the_section_of_another_partition_of_aws_names_its_queue_and_role(
    region: str, partition: str, domain: str
) -> None:
    there = replace(AWS, region=region, reader=READER.replace("arn:aws:", f"arn:{partition}:"))
    (values,) = tomllib.loads(set_up_aws(there).collector)["collectors"].values()
    assert values["s3_sqs"]["queue_url"] == f"https://sqs.{region}.{domain}/<account>/trail-files"
    assert values["s3_sqs"]["role_arn"] == f"arn:{partition}:iam::<account>:role/trail-reader"


async def test_what_an_api_server_is_told_reaches_the_collector_that_is_printed_beside_it(tmp_path: Path) -> None:
    made = set_up_kubernetes(OWN)
    (file,) = [file for file in made.files if file.name == "webhook-kubeconfig.yaml"]
    server = urlsplit(yaml.safe_load(file.text)["clusters"][0]["cluster"]["server"])
    (values,) = tomllib.loads(made.collector)["collectors"].values()
    printed = values["kubernetes_webhook"]
    assert (server.scheme, server.port) == ("https", printed["port"])
    (tmp_path / "tokens").write_text(f"{OWN.name} 0123456789abcdef-token\n")  # as the steps say
    settings = KubernetesWebhookSettings(port=0, allow_plain_http=True, token_file=tmp_path / "tokens")
    webhook = KubernetesWebhook(settings, Told(tmp_path).place)
    await webhook.start()
    try:
        headers = {"Authorization": "Bearer 0123456789abcdef-token"}
        async with aiohttp.ClientSession(f"http://127.0.0.1:{webhook.port}", headers=headers) as session:
            posting = asyncio.create_task(_status(session, server.path))
            (delivery,) = await pull(webhook.deliveries(), 1)
            await delivery.acknowledge()
            assert (delivery.source, await posting) == (OWN.name, 200)
    finally:
        await webhook.close()


async def _status(session: aiohttp.ClientSession, path: str) -> int:
    async with session.post(path, data=b'{"items":[]}') as answer:
        return answer.status


@pytest.mark.parametrize("set_up", [set_up_aws(AWS), set_up_kubernetes(EKS)])
def test_the_look_at_a_section_of_aws_names_what_only_the_account_knows(set_up: SetUp) -> None:
    (values,) = tomllib.loads(set_up.collector)["collectors"].values()
    (found,) = inspect(as_collector(values))
    assert found.state == "fail"
    assert "<" in found.found
    filled = re.sub(r"<account>", "123456789012", set_up.collector).replace("<RoleArn>", READER)
    (values,) = tomllib.loads(filled)["collectors"].values()
    assert [found.state for found in inspect(as_collector(values))] == ["ok"]


def test_the_sections_of_azure_need_nothing_filled_in() -> None:
    for values in tomllib.loads(set_up_azure(AZURE).collector)["collectors"].values():
        assert [finding.state for finding in inspect(as_collector(values))] == ["ok"]


def test_each_hub_of_azure_has_a_collector_and_no_category_goes_to_a_format_that_refuses_it() -> None:
    (file,) = set_up_azure(AZURE).files
    collectors = tomllib.loads(set_up_azure(AZURE).collector)["collectors"].values()
    formats = {each["event_hubs"]["event_hub"]: each["format"] for each in collectors}
    made = hcl2.loads(file.text)["locals"][0]
    (listed,) = re.findall(r"hubs\s*=\s*toset\((\[.*\])\)", file.text)
    assert set(json.loads(listed)) == set(formats)
    for hub, categories in made["identity_categories"].items():
        for category in map(_word, categories):
            record = {"category": category, "time": "2026-11-26T10:00:00Z", "properties": {"id": "1"}}
            assert format_named(formats[_word(hub)]).recognise(json.dumps({"records": [record]}).encode()), category


def _word(text: str) -> str:
    """What the parser of HCL gives with its quotation marks."""
    return text.strip('"')
