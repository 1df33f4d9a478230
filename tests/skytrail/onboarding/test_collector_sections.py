"""What `skytrail onboard` prints for skytrail.toml is what the transports accept."""

from __future__ import annotations

import json
import re
import tomllib

import hcl2
import pytest

from ingest.formats.registry import format_named
from ingest.transports.registry import as_collector, inspect
from skytrail.onboarding.azure import AzureSource
from skytrail.onboarding.azure import set_up as set_up_azure
from skytrail.onboarding.gcp import GcpSource
from skytrail.onboarding.gcp import set_up as set_up_gcp
from skytrail.onboarding.oci import OciSource
from skytrail.onboarding.oci import set_up as set_up_oci
from skytrail.onboarding.setup_files import SetUp

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
    [(set_up_azure(AZURE), "event_hubs"), (set_up_gcp(GCP), "pubsub"), (set_up_oci(OCI), "kafka")],
)
def test_each_printed_section_is_a_collector(set_up: SetUp, transport: str) -> None:
    collectors = tomllib.loads(set_up.collector)["collectors"].values()
    for collector in map(as_collector, collectors):
        assert (collector.transport, collector.namespace) == (transport, "prod")
        assert format_named(collector.format).name == collector.format


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
