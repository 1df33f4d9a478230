"""Every golden pair: the document is the expected one, and one that the index takes."""

import json

import pytest

from ingest.formats.kubernetes_audit.format import FORMAT
from ingest.schema.fields import paths
from tests.ingest.formats.kubernetes_audit.conformity import REGISTRY, body, cases, expected, faults, get, record

# ECS: event types expected of each category that this format writes.
TYPES = {
    "api": {"access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info", "start", "user"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
    "process": {"access", "change", "end", "info", "start"},
}


def test_there_is_a_pair_for_every_family_and_trap() -> None:
    assert len(cases()) >= 18


@pytest.mark.parametrize("case", cases())
def test_the_document_is_the_expected_one(case: str) -> None:
    assert FORMAT.within(FORMAT.context(body(case))).normalise(record(case)) == expected(case)


@pytest.mark.parametrize("case", cases())
def test_the_document_fits_the_index(case: str) -> None:
    document = FORMAT.normalise(record(case))
    assert faults(document) == []
    assert [path for path in paths(document) if not REGISTRY.allows(path)] == []


@pytest.mark.parametrize("case", cases())
def test_category_and_type_are_pairs_that_ecs_expects(case: str) -> None:
    event = expected(case)["event"]
    allowed = set.union(*(TYPES[category] for category in event["category"]))
    # `denied` is ours on every category: who was refused what must be found with one query
    assert set(event["type"]) - {"denied"} <= allowed


@pytest.mark.parametrize("case", cases())
def test_the_body_is_recognised_whole_and_cut(case: str) -> None:
    assert FORMAT.recognise(body(case))
    assert FORMAT.recognise(record(case))


@pytest.mark.parametrize("case", cases())
def test_no_secret_of_a_case_reaches_its_document_or_its_original(case: str) -> None:
    told = json.dumps(FORMAT.normalise(record(case))) + FORMAT.read(record(case)).shown.decode()
    for secret in ("aHVudGVyMg==", "cm9vdA==", "c2lnbmF0dXJlLWhlcmU", "eyJhbGciOi"):
        assert secret not in told


@pytest.mark.parametrize(
    "query",
    [
        ("pod_privileged_with_host_path", "kubernetes.audit.requestObject.spec.hostNetwork", True),
        ("pod_privileged_with_host_path", "kubernetes.audit.verb", "create"),
        ("cluster_role_binding_create", "kubernetes.audit.requestObject.roleRef.name", "cluster-admin"),
        ("forbidden_403", "kubernetes.audit.objectRef.resource", "secrets"),
        ("aks_event_hubs", "kubernetes.audit.objectRef.subresource", "attach"),
        ("gke_pod_create", "kubernetes.audit.objectRef.resource", "pods"),
    ],
)
def test_fields_that_stock_rules_query_are_there(query: tuple[str, str, object]) -> None:
    case, path, value = query
    assert get(expected(case), path) == value


def test_the_decision_stands_under_the_key_that_stock_rules_query() -> None:
    for case in ("exec_response_started", "aks_event_hubs", "gke_pod_create"):
        annotations = get(expected(case), "kubernetes.audit.annotations")
        assert annotations["authorization_k8s_io/decision"] == "allow"
