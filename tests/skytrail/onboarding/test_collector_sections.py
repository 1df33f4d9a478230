"""What `skytrail onboard` prints for skytrail.toml is what the transports accept."""

from __future__ import annotations

import tomllib

import pytest

from ingest.formats.registry import format_named
from ingest.transports.registry import as_collector
from skytrail.onboarding.gcp import GcpSource
from skytrail.onboarding.gcp import set_up as set_up_gcp
from skytrail.onboarding.oci import OciSource
from skytrail.onboarding.oci import set_up as set_up_oci
from skytrail.onboarding.setup_files import SetUp

GCP = GcpSource(name="skytrail-logs", project="my-project", namespace="prod")
OCI = OciSource(
    name="skytrail",
    region="eu-frankfurt-1",
    tenancy="ocid1.tenancy.oc1..aaaa",
    compartment="ocid1.compartment.oc1..aaaa",
    namespace="prod",
)


@pytest.mark.parametrize(("set_up", "transport"), [(set_up_gcp(GCP), "pubsub"), (set_up_oci(OCI), "kafka")])
def test_the_printed_section_is_a_collector(set_up: SetUp, transport: str) -> None:
    (values,) = tomllib.loads(set_up.collector)["collectors"].values()
    collector = as_collector(values)
    assert (collector.transport, collector.namespace) == (transport, "prod")
    assert format_named(collector.format).name == collector.format
