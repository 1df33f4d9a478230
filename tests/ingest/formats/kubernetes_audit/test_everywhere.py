"""One request has one set of fields, whatever kind of cluster it was made to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ingest.formats.kubernetes_audit.format import FORMAT
from ingest.formats.recognition import formats_of
from ingest.schema.envelope import MAX_RECORD_BYTES
from ingest.unpacking import unpack
from tests.ingest.formats.kubernetes_audit.conformity import body, get
from tests.ingest.formats.kubernetes_audit.wrappings import ACCOUNT, PROJECT, SUBSCRIPTION, WRAPPINGS

REQUESTS = {
    "pod created": json.loads(body("pod_privileged_with_host_path"))["items"][0],
    "role refused": json.loads(body("role_denied")),
    "command started": json.loads(body("exec_response_started")),
}
CHANNELS = {"eks": "cloudwatch", "aks": "azure", "arc": "azure", "gke": "gcp"}

PLACE = {
    "labels.skytrail_channel",  # which way it came
    "cloud.provider",  # a self-run cluster does not say where it runs; the others do, in their wrapper
    "cloud.service.name",
    "cloud.account.id",
    "orchestrator.cluster.name",
    "skytrail.principal.key",  # a user is one of a cluster: it holds the cluster's name where that is known
}
AZURE = {*PLACE, "cloud.region", "related.entity"}  # the resource id of the cluster
GOOGLE = {
    *PLACE,
    "cloud.region",
    "cloud.project.id",
    # what Cloud Audit Logs do not keep of the event
    "kubernetes.audit.apiVersion",
    "kubernetes.audit.level",
    "kubernetes.audit.requestReceivedTimestamp",
    "kubernetes.audit.requestURI",
    "kubernetes.audit.user.groups",
    "url.path",
}
DIFFERENT = {"self-run": set[str](), "eks": PLACE, "aks": AZURE, "arc": AZURE, "gke": GOOGLE}
ALSO_ON_GOOGLE = {
    # Google has one code for success, where HTTP has several, and no reason and details beside the code of a refusal
    "pod created": {"http.response.status_code", "kubernetes.audit.responseStatus.code"},
    "command started": {"http.response.status_code", "kubernetes.audit.responseStatus.code"},
    "role refused": {
        "error.code",
        "kubernetes.audit.responseStatus.reason",
        "kubernetes.audit.responseStatus.details.group",
        "kubernetes.audit.responseStatus.details.kind",
        "kubernetes.audit.responseStatus.details.name",
    },
}


def document(wrapping: str, event: dict[str, Any]) -> dict[str, Any]:
    """The document of the event, as a collector that knows nothing of its format gets it."""
    found = unpack(WRAPPINGS[wrapping](event), None, MAX_RECORD_BYTES)
    (run,) = found.runs
    (record,) = found.records
    assert run.format is FORMAT
    return FORMAT.within(run.context).normalise(record)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from leaves(below, f"{path}.{name}" if path else name)
    else:
        yield path, value


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_the_same_request_has_the_same_fields_but_for_those_named_here(wrapping: str, request_: str) -> None:
    plain = dict(leaves(FORMAT.normalise(json.dumps(REQUESTS[request_]).encode())))
    found = dict(leaves(document(wrapping, REQUESTS[request_])))
    different = {path for path in plain.keys() | found.keys() if plain.get(path) != found.get(path)}
    assert different == DIFFERENT[wrapping] | (ALSO_ON_GOOGLE[request_] if wrapping == "gke" else set())


@pytest.mark.parametrize(
    ("wrapping", "provider", "service", "account"),
    [
        ("eks", "aws", "eks", ACCOUNT),
        ("aks", "azure", "aks", SUBSCRIPTION),
        ("arc", "azure", "arc", SUBSCRIPTION),
        ("gke", "gcp", "gke", PROJECT),
    ],
)
def test_the_wrapper_tells_the_cluster_and_its_cloud(wrapping: str, provider: str, service: str, account: str) -> None:
    found = document(wrapping, REQUESTS["pod created"])
    assert found["cloud"]["provider"] == provider
    assert found["cloud"]["service"] == {"name": service}
    assert found["cloud"]["account"] == {"id": account}
    assert get(found, "orchestrator.cluster.name") == "orchard"
    assert get(found, "skytrail.principal.key") == "k8s:orchard/maria@riverbank.example"
    assert found["labels"]["skytrail_channel"] == CHANNELS[wrapping]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_record_is_recognised_as_nothing_else_in_any_wrapper(wrapping: str) -> None:
    for event in REQUESTS.values():
        for record in FORMAT.split(WRAPPINGS[wrapping](event)):
            assert formats_of(record) == ["kubernetes.audit"]
