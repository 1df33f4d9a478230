"""Identity, view, aliases and the channels an event can come through."""

import json
from typing import Any

import pytest

from ingest.formats.kubernetes_audit.format import FORMAT
from ingest.schema.errors import MalformedRecord
from ingest.schema.identity import leaf_hash, uid_of
from tests.ingest.formats.kubernetes_audit.conformity import body, expected, get, record

EVENT: dict[str, Any] = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "auditID": "a-1",
    "stage": "ResponseComplete",
    "verb": "get",
    "requestURI": "/api/v1/pods",
    "user": {"username": "maria"},
    "stageTimestamp": "2026-11-22T08:01:39.686299Z",
}


def event(**changes: Any) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


def test_two_requests_under_one_chosen_audit_id_have_two_ids() -> None:
    harmless, hidden = event(), event(verb="delete")
    assert FORMAT.identify(harmless) != FORMAT.identify(hidden)
    assert FORMAT.identify(harmless) == f"a-1:ResponseComplete:{leaf_hash(harmless).hex()}"


def test_stages_of_one_request_are_one_member_and_another_request_is_another() -> None:
    received, complete = event(stage="RequestReceived", responseStatus=None), event(responseStatus={"code": 200})
    assert FORMAT.view(received).member == FORMAT.view(complete).member
    assert FORMAT.view(complete).member != FORMAT.view(event(requestURI="/api/v1/secrets")).member
    assert FORMAT.view(complete).member != FORMAT.view(event(user={"username": "otto"})).member


@pytest.mark.parametrize(
    ("stage", "final"),
    [("RequestReceived", False), ("ResponseStarted", True), ("ResponseComplete", True), ("Panic", True), (None, True)],
)
def test_only_the_stage_that_a_later_one_repeats_is_not_final(*, stage: str | None, final: bool) -> None:
    assert FORMAT.view(event(stage=stage)).final is final


def test_an_event_without_audit_id_is_known_by_its_leaf() -> None:
    nameless = event(auditID=None)
    assert FORMAT.identify(nameless) is None
    assert FORMAT.view(nameless).member == f"leaf:{leaf_hash(nameless).hex()}"
    assert FORMAT.normalise(nameless)["event"]["id"] == f"leaf:{leaf_hash(nameless).hex()}"
    assert uid_of(FORMAT.identify(nameless), nameless, 0).startswith("leaf:")


def test_rules_see_the_same_event_through_every_cloud() -> None:
    vendors = {case: FORMAT.view(record(case)).vendor for case in ("pod_privileged_with_host_path", "gke_pod_create")}
    for vendor in vendors.values():
        assert vendor["verb"] == "create"
        assert vendor["objectRef"]["resource"] == "pods"
        assert vendor["requestObject"]["spec"]["containers"][0]["securityContext"]["privileged"] is True
        assert vendor["annotations"]["authorization.k8s.io/decision"] == "allow"
    assert FORMAT.view(record("eks_cloudwatch_subscription")).vendor["user"]["username"] == "kubernetes-admin"
    assert FORMAT.view(record("aks_event_hubs")).vendor["objectRef"]["subresource"] == "attach"


def test_aliases_lead_to_what_bare_names_in_public_rules_mean() -> None:
    vendor = FORMAT.view(record("pod_privileged_with_host_path")).vendor

    def values(node: Any, parts: list[str]) -> list[Any]:
        if isinstance(node, list):
            return [found for one in node for found in values(one, parts)]
        if not parts:
            return [node]
        return values(node[parts[0]], parts[1:]) if isinstance(node, dict) and parts[0] in node else []

    assert values(vendor, FORMAT.aliases["hostPath"].split(".")) == ["/"]
    assert values(vendor, FORMAT.aliases["capabilities"].split(".")) == ["SYS_ADMIN", "NET_RAW"]
    assert values(vendor, FORMAT.aliases["namespace"].split(".")) == ["orchard"]


@pytest.mark.parametrize(
    "text",
    [
        b'{"kind": 0}',
        b"null",
        b"[1, 2]",
        b"{}",
        b'{"id": "1", "timestamp": 1, "message": "I0101 apiserver started"}',
        b'{"category": "kube-apiserver", "properties": {"log": "I0101 started"}}',
        b'{"protoPayload": {"serviceName": "compute.googleapis.com", "methodName": "v1.compute.instances.insert"}}',
        b'{"message": "{\\"message\\": \\"{\\\\\\"message\\\\\\": \\\\\\"x\\\\\\"}\\"}"}',
    ],
)
def test_what_is_no_audit_event_is_refused_by_name(text: bytes) -> None:
    for read in (FORMAT.identify, FORMAT.view, FORMAT.normalise):
        with pytest.raises(MalformedRecord, match=r"Kubernetes audit event|reading JSON"):
            read(text)
    assert not FORMAT.recognise(text)


@pytest.mark.parametrize(
    ("changes", "marks"),
    [
        ({}, None),
        ({"stageTimestamp": None, "requestReceivedTimestamp": "2026-11-22T08:01:39Z"}, ["missing_event_time"]),
        ({"stageTimestamp": "redacted", "timestamp": "2026-11-22T08:01:39Z"}, ["unreadable_event_time"]),
        ({"stageTimestamp": "0001-01-01T00:00:00Z", "timestamp": "2026-11-22T08:01:39Z"}, ["unreadable_event_time"]),
    ],
)
def test_a_missing_time_is_taken_from_elsewhere_and_marked(changes: dict[str, Any], marks: list[str] | None) -> None:
    document = FORMAT.normalise(event(**changes))
    assert document["@timestamp"].startswith("2026-11-22T08:01:39.")
    assert (get(document, "skytrail.time.marks") or [None])[:1] == (marks or [None])


def test_the_time_of_a_wrapper_serves_when_the_event_has_none() -> None:
    bare = {name: value for name, value in EVENT.items() if name != "stageTimestamp"}
    wrapped = json.dumps({"id": "1", "timestamp": 1795338264000, "message": json.dumps(bare)}).encode()
    document = FORMAT.normalise(wrapped)
    assert document["@timestamp"] == "2026-11-22T09:04:24.000Z"
    assert get(document, "skytrail.time.marks") == ["missing_event_time", "taken from wrapper timestamp", "epoch"]


def test_an_event_without_any_time_is_refused() -> None:
    with pytest.raises(MalformedRecord, match="no readable time"):
        FORMAT.normalise(event(stageTimestamp=None))


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"responseStatus": {"code": 200}}, "success"),
        ({"responseStatus": {"code": 101}}, "success"),
        ({"responseStatus": {"code": 400}}, "failure"),
        ({"responseStatus": {"code": 201}, "annotations": {"authorization.k8s.io/decision": "forbid"}}, "failure"),
        ({"responseStatus": {"code": 403}, "annotations": {"authorization.k8s.io/decision": "allow"}}, "failure"),
        ({"annotations": {"authorization.k8s.io/decision": "allow"}}, "success"),
        ({"responseStatus": {"status": "Failure"}}, "failure"),
        ({"stage": "Panic"}, "failure"),
        ({}, "unknown"),
    ],
)
def test_the_outcome_follows_the_status_then_the_decision(changes: dict[str, Any], outcome: str) -> None:
    assert FORMAT.normalise(event(**changes))["event"]["outcome"] == outcome


def test_a_webhook_batch_and_a_log_file_give_the_same_records() -> None:
    one, two = event(), event(verb="list")
    batch = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[' + one + b"," + two + b"]}\n"
    assert list(FORMAT.split(batch)) == [one, two] == list(FORMAT.split(one + b"\n" + two + b"\n"))


def test_a_record_of_a_subscription_is_the_exact_element() -> None:
    raw = body("eks_cloudwatch_subscription")
    only = record("eks_cloudwatch_subscription")
    assert only in raw
    assert json.loads(only).keys() == {"id", "timestamp", "message"}


def test_the_cloud_is_told_from_the_wrapper_or_the_arn() -> None:
    for case, provider, account in (
        ("eks_cloudwatch_subscription", "aws", "111122223333"),
        ("aks_event_hubs", "azure", "0f0f0f0f-1111-2222-3333-444455556666"),
        ("gke_pod_create", "gcp", "river-4711"),
    ):
        assert get(expected(case), "cloud.provider") == provider
        assert get(expected(case), "cloud.account.id") == account
    assert "cloud" not in expected("anonymous")


@pytest.mark.parametrize(
    ("method", "name", "verb", "reference"),
    [
        (
            "io.k8s.core.v1.pods.exec.create",
            "core/v1/namespaces/shop/pods/web/exec",
            "create",
            {"namespace": "shop", "resource": "pods", "name": "web", "subresource": "exec"},
        ),
        ("io.k8s.core.v1.namespaces.delete", "core/v1/namespaces/shop", "delete", {"resource": "namespaces"}),
        (
            "io.k8s.core.v1.namespaces.finalize.update",
            "core/v1/namespaces/shop/finalize",
            "update",
            {"resource": "namespaces", "name": "shop", "subresource": "finalize"},
        ),
        (
            "io.k8s.apps.v1beta2.deployments.patch",
            "apps/v1beta2/namespaces/shop/deployments/web",
            "patch",
            {"apiGroup": "apps", "apiVersion": "v1beta2", "namespace": "shop", "name": "web"},
        ),
        ("io.k8s.core.v1.secrets.list", "core/v1/secrets", "list", {"resource": "secrets"}),
        ("dev.knative.serving.v1.services.create", "", "create", {"resource": "services", "apiVersion": "v1"}),
        ("io.k8s.get", "readyz", "get", {}),
    ],
)
def test_a_method_name_of_gke_gives_verb_and_object(
    method: str, name: str, verb: str, reference: dict[str, str]
) -> None:
    payload = {"serviceName": "k8s.io", "methodName": method, "resourceName": name}
    vendor = FORMAT.view(json.dumps({"insertId": "i", "protoPayload": payload}).encode()).vendor
    assert vendor["verb"] == verb
    assert reference.items() <= vendor.get("objectRef", {}).items()
    assert vendor.get("requestURI") == ("/readyz" if name == "readyz" else None)
