"""Identity, envelopes, refusals, outcome and the names of public rules."""

import base64
import json
from typing import Any

import pytest

from ingest.formats.gcp_audit.format import FORMAT
from ingest.formats.kubernetes_audit.format import FORMAT as KUBERNETES
from ingest.parsing.user_agents import user_agent_of
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.conformity import Golden, get

GOLDEN = Golden(FORMAT)
PAYLOAD: dict[str, Any] = {
    "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
    "serviceName": "compute.googleapis.com",
    "methodName": "v1.compute.disks.delete",
    "authenticationInfo": {"principalEmail": "maria@orchard.example"},
}
ENTRY: dict[str, Any] = {
    "insertId": "i1",
    "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
    "timestamp": "2026-11-22T08:01:39.686299417Z",
    "protoPayload": PAYLOAD,
}


def entry(payload: dict[str, Any] | None = None, **changes: Any) -> bytes:
    return json.dumps({**ENTRY, "protoPayload": {**PAYLOAD, **(payload or {})}, **changes}).encode()


def pushed(record: bytes) -> bytes:
    message = {"data": base64.b64encode(record).decode(), "messageId": "1", "publishTime": "2026-11-22T09:00:00Z"}
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()


def test_the_uid_is_insert_id_time_and_log_name_together() -> None:
    log = "projects/p/logs/cloudaudit.googleapis.com%2Factivity"
    assert FORMAT.identify(entry()) == f"i1|2026-11-22T08:01:39.686299417Z|{log}"
    for name in ("insertId", "timestamp", "logName"):
        assert FORMAT.identify(entry(**{name: None})) is None
        assert FORMAT.identify(entry(**{name: "x"})) != FORMAT.identify(entry())


@pytest.mark.parametrize("missing", ["insertId", "logName"])
def test_a_record_without_an_id_of_its_own_is_known_by_its_leaf(missing: str) -> None:
    assert FORMAT.view(entry(**{missing: None})).member.startswith("leaf:")


def test_first_and_last_record_of_an_operation_are_one_member() -> None:
    first, last = (FORMAT.view(GOLDEN.record(f"firewall_insert_{which}")) for which in ("first", "last"))
    assert first.member == last.member
    assert first.final
    assert last.final
    both = {"operation": {"id": "o", "first": True, "last": True}}
    assert FORMAT.view(entry(**both)).member == FORMAT.identify(entry(**both))


def test_every_envelope_gives_the_exact_slices() -> None:
    one, two = entry(), entry(insertId="i2")
    assert list(FORMAT.split(one + b"\n" + two + b"\n")) == [one, two]
    assert list(FORMAT.split(b"[\n  " + one + b",\n  " + two + b"\n]\n")) == [one, two]
    assert list(FORMAT.split(b'{"entries":[' + one + b"," + two + b'],"nextPageToken":"t"}')) == [one, two]
    assert list(FORMAT.split(pushed(one))) == [pushed(one)]
    assert list(FORMAT.split(b'{"receivedMessages":[' + pushed(one) + b"]}")) == [pushed(one)]


@pytest.mark.parametrize("wrap", [pushed, lambda text: json.dumps(json.loads(pushed(text))["message"]).encode()])
def test_a_message_of_pubsub_gives_what_the_entry_in_it_gives(wrap: Any) -> None:
    bare, wrapped = FORMAT.normalise(entry()), FORMAT.normalise(wrap(entry()))
    assert wrapped.pop("labels") == {"skytrail_channel": "pubsub"}
    assert wrapped == bare
    assert FORMAT.identify(wrap(entry())) == FORMAT.identify(entry())
    assert FORMAT.view(wrap(entry())).vendor == FORMAT.view(entry()).vendor
    assert FORMAT.recognise(wrap(entry()))


def test_data_that_is_no_base64_is_refused_by_name() -> None:
    with pytest.raises(MalformedRecord, match="not base64"):
        FORMAT.normalise(b'{"message": {"data": "%%%"}}')


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (entry({"@type": "type.googleapis.com/ccc_hosted_reporting.ActivityProto"}), "Workspace, sign-in"),
        (b'{"jsonPayload": {"connection": {}}, "timestamp": "2026-11-22T08:01:39Z"}', "jsonPayload"),
        (b'{"textPayload": "x"}', "textPayload"),
        (b'{"methodName": "v1.compute.firewalls.insert"}', "no protoPayload"),
        (b'{"protoPayload": {"status": {}}}', "neither a type nor a method"),
        (b"[]", "an object is expected|object"),
    ],
)
def test_what_is_no_audit_record_is_refused_by_name(record: bytes, why: str) -> None:
    for read in (FORMAT.identify, FORMAT.view, FORMAT.normalise):
        with pytest.raises(MalformedRecord, match=why):
            read(record)
    assert not FORMAT.recognise(record)


@pytest.mark.parametrize(
    "payload",
    [
        {"serviceName": "k8s.io", "methodName": "io.k8s.core.v1.pods.create"},
        {"serviceName": "k8s.io", "methodName": "admissionregistration.k8s.io.v1.mutatingwebhookconfigurations.patch"},
        {"serviceName": None, "methodName": "io.k8s.core.v1.secrets.list"},
    ],
)
def test_events_of_a_kubernetes_api_server_belong_to_the_other_format(payload: dict[str, Any]) -> None:
    record = entry(payload)
    with pytest.raises(MalformedRecord, match=r"format kubernetes\.audit"):
        FORMAT.normalise(record)
    assert KUBERNETES.normalise(record)["event"]["dataset"] == "kubernetes.audit_logs"
    assert not FORMAT.recognise(record)


def test_managing_a_cluster_stays_here() -> None:
    record = entry({"serviceName": "container.googleapis.com", "methodName": "google.container.v1.CreateCluster"})
    assert FORMAT.normalise(record)["service"] == {"name": "container.googleapis.com"}
    assert FORMAT.recognise(record)
    assert not KUBERNETES.recognise(record)


def test_a_body_of_both_is_never_recognised_by_both() -> None:
    theirs = entry({"serviceName": "k8s.io", "methodName": "io.k8s.core.v1.pods.create"})
    for body in (entry() + b"\n" + theirs, theirs + b"\n" + entry(), b"[" + entry() + b"," + theirs + b"]"):
        assert not (FORMAT.recognise(body) and KUBERNETES.recognise(body))


def test_a_sample_cut_inside_its_first_record_is_recognised() -> None:
    assert FORMAT.recognise(b'[{"protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serv')
    assert not FORMAT.recognise(b'[{"textPayload": "hello')


GRANTED, REFUSED, UNTOLD = (
    {"permission": "p", "granted": True},
    {"permission": "p", "granted": False},
    {"permission": "p"},
)


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        ({"status": {"code": 0}}, "success"),
        ({"status": {"code": 7}}, "failure"),
        ({"status": {"code": "5"}}, "failure"),
        ({"status": {}}, "success"),
        ({"authorizationInfo": [GRANTED]}, "success"),
        ({"authorizationInfo": [REFUSED]}, "failure"),
        ({"authorizationInfo": [REFUSED], "status": {}}, "failure"),
        ({"authorizationInfo": [UNTOLD]}, "failure"),
        ({"authorizationInfo": [UNTOLD], "status": {}}, "success"),
        ({"authorizationInfo": [GRANTED], "status": {"code": 9}}, "failure"),
        ({"authorizationInfo": [GRANTED, GRANTED]}, "unknown"),
        ({"authorizationInfo": [GRANTED, REFUSED], "status": {"code": 7}}, "failure"),
        ({}, "unknown"),
    ],
)
def test_the_outcome_follows_the_status_then_the_only_check(payload: dict[str, Any], outcome: str) -> None:
    assert FORMAT.normalise(entry(payload))["event"]["outcome"] == outcome


@pytest.mark.parametrize(
    ("method", "category", "types"),
    [
        ("v1.compute.disks.delete", "api", ["deletion"]),
        ("storage.objects.list", "api", ["access"]),
        ("google.cloud.functions.v2.FunctionService.UpdateFunction", "api", ["change"]),
        ("google.iam.admin.v1.CreateRole", "iam", ["admin", "creation"]),
        ("SetIamPolicy", "iam", ["admin", "change"]),
        ("GetIamPolicy", "iam", ["admin", "info"]),
        ("compute.instances.hostError", "api", ["info"]),
    ],
)
def test_the_verb_of_a_method_gives_category_and_type(method: str, category: str, types: list[str]) -> None:
    event = FORMAT.normalise(entry({"methodName": method}))["event"]
    assert (event["category"], event["type"]) == ([category], types)


@pytest.mark.parametrize(
    ("changes", "marks"),
    [
        ({}, None),
        ({"timestamp": "2026-11-22 08:01:39.686299000"}, ["no_zone"]),
        ({"timestamp": "redacted", "receiveTimestamp": "2026-11-22T08:01:39.686Z"}, ["unreadable_event_time"]),
        ({"timestamp": None, "receiveTimestamp": "2026-11-22T08:01:39.686Z"}, ["missing_event_time"]),
    ],
)
def test_a_missing_time_is_taken_from_elsewhere_and_marked(changes: dict[str, Any], marks: list[str] | None) -> None:
    document = FORMAT.normalise(entry(**changes))
    assert document["@timestamp"] == "2026-11-22T08:01:39.686Z"
    assert (get(document, "skytrail.time.marks") or [None])[:1] == (marks or [None])


def test_a_record_without_any_time_is_refused() -> None:
    with pytest.raises(MalformedRecord, match="no readable time"):
        FORMAT.normalise(entry(timestamp=None))


def test_names_in_another_spelling_give_the_same_document() -> None:
    odd = {**PAYLOAD, "at_sign_type": PAYLOAD["@type"], "requestmetadata": {"callerIP": "198.51.100.7"}}
    del odd["@type"]
    record = {"insertid": "i1", "logname": ENTRY["logName"], "timestamp": ENTRY["timestamp"], "protopayload": odd}
    plain = entry({"requestMetadata": {"callerIp": "198.51.100.7"}})
    assert FORMAT.normalise(json.dumps(record).encode()) == FORMAT.normalise(plain)
    assert FORMAT.identify(json.dumps(record).encode()) == FORMAT.identify(plain)


@pytest.mark.parametrize(
    ("alias", "value"),
    [
        ("gcp.audit.method_name", "SetIamPolicy"),
        ("gcp.audit.authentication_info.principal_email", "maria@orchard.example"),
        ("data.protoPayload.serviceName", "cloudresourcemanager.googleapis.com"),
        ("data.protoPayload.resource.type", "project"),
        ("data.protoPayload.authorizationInfo.granted", True),
    ],
)
def test_names_in_public_rules_lead_to_the_vendors_names(alias: str, value: object) -> None:
    node: Any = FORMAT.view(GOLDEN.record("iam_policy_set")).vendor
    for name in FORMAT.aliases[alias].split("."):
        node = node[0] if isinstance(node, list) else node
        node = node[name]
    assert node == value


@pytest.mark.parametrize("owner", ["projects/p", "folders/12", "organizations/34", "billingAccounts/01AB-CD"])
def test_the_stream_is_told_from_the_log_name_of_any_owner(owner: str) -> None:
    document = FORMAT.normalise(entry(logName=f"{owner}/logs/cloudaudit.googleapis.com%2Fdata_access"))
    assert document["event"]["provider"] == "data_access"
    assert get(document, "gcp.audit.log_id") == "cloudaudit.googleapis.com%2Fdata_access"


def test_the_cluster_is_named_whatever_the_resource_is() -> None:
    resource = {"type": "k8s_node", "labels": {"cluster_name": "shop"}}
    assert FORMAT.normalise(entry(resource=resource))["orchestrator"] == {"cluster": {"name": "shop"}}


def test_the_log_that_public_rules_compare_is_the_id_without_its_project() -> None:
    path = FORMAT.aliases["data.protoPayload.logName"]
    assert get(FORMAT.normalise(entry()), path) == "cloudaudit.googleapis.com%2Factivity"


@pytest.mark.parametrize(
    ("text", "name", "version", "system"),
    [
        ("google-cloud-sdk gcloud/520.0.0 command/x (Macintosh; Darwin)", "gcloud", "520.0.0", "macOS"),
        ("google-api-go-client/0.5 Terraform/1.13.4", "Terraform", "1.13.4", None),
        ("Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/144.0", "Firefox", "144.0", "Windows"),
        ("google-api-python-client/2.1 (gzip)", "google-api-python-client", "2.1", None),
        ("(gzip),gzip(gfe)", None, None, None),
    ],
)
def test_clients_are_told_by_their_user_agent(
    text: str, name: str | None, version: str | None, system: str | None
) -> None:
    found = user_agent_of(text)
    assert (found.get("name"), found.get("version"), get(found, "os.name")) == (name, version, system)
    assert found["original"] == text
