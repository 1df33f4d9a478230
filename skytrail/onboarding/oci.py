"""The set-up of Oracle Cloud: Connector Hub moves audit events into a stream that is read as a Kafka topic.

https://docs.oracle.com/iaas/Content/connector-hub/create-service-connector-logging-source.htm
https://docs.oracle.com/iaas/Content/Streaming/Tasks/kafkacompatibility.htm
"""

from __future__ import annotations

from dataclasses import dataclass

from skytrail.onboarding.setup_files import SetUp, checked, fill, namespaced

_COLLECTOR = """\
[collectors.{name}]
transport = "kafka"
format = "oci.audit"
namespace = "{namespace}"

[collectors.{name}.kafka]
bootstrap_servers = "<bootstrap_servers>"
topics = ["{name}-audit"]
security_protocol = "SASL_SSL"
sasl_mechanism = "PLAIN"
username = "<tenancy name>/{name}-reader/<stream_pool_id>"
password_file = "/run/secrets/{name}-auth-token"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OciSource:
    """What the operator says of a tenancy.

    Attributes:
        name: Of the stream pool and everything else made.
        region: Where the stream is, e.g. `eu-frankfurt-1`.
        tenancy: OCID of the tenancy, whose audit events are taken.
        compartment: OCID of the compartment that gets the stream.
        email: Address of the user that reads; "" in tenancies without identity domains.
        namespace: Where the events go.
    """

    name: str
    region: str
    tenancy: str
    compartment: str
    email: str = ""
    namespace: str = "default"


def set_up(source: OciSource) -> SetUp:
    """The files, the collector and the steps.

    Raises:
        ConfigError: A value has not the form that Oracle gives it.
    """
    ocid = r"ocid1\.{}\.[a-z0-9.-]*\.\.[a-z0-9]+"
    values = {
        "name": checked("the name", source.name, r"[a-z][a-z0-9-]{2,30}[a-z0-9]", "skytrail"),
        "region": checked("the region", source.region, r"[a-z]{2}(-[a-z]+)+-\d", "eu-frankfurt-1"),
        "tenancy": checked("the tenancy", source.tenancy, ocid.format("tenancy"), "ocid1.tenancy.oc1..aaaa"),
        "compartment": checked(
            "the compartment", source.compartment, ocid.format("(compartment|tenancy)"), "ocid1.compartment.oc1..aaaa"
        ),
        "email": checked("the e-mail address", source.email, r"([\w.+-]+@[\w.-]+)?", "skytrail@example.org"),
    }
    steps = (
        "apply main.tf in the home region: terraform init && terraform apply"
        + ("" if source.email else "; a tenancy with identity domains also asks for --reader-email"),
        f"make an auth token for the user {source.name}-reader (Identity, Users, Auth tokens) and put it into a file",
        "put the collector into skytrail.toml, with what Terraform printed",
        f"skytrail onboard check {source.name}",
        f"skytrail collect {source.name}",
    )
    collector = _COLLECTOR.format(name=source.name, namespace=namespaced(source.namespace))
    return SetUp((fill("oci/main.tf", values),), collector, steps)
