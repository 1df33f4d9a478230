from __future__ import annotations

from typing import Any

from skytrail.demo.story import Story
from tests.skytrail.demo.days import events, the_day


def _story(name: str) -> Story:
    return next(story for story in the_day().expected.stories if story.name == name)


def _called(story: Story) -> list[str]:
    return [str(event.record["eventName"]) for event in story.cloudtrail]


def _record(story: Story, name: str) -> dict[str, Any]:
    return next(event.record for event in story.cloudtrail if event.record["eventName"] == name)


def test_the_stolen_key_is_the_victims_own_key_from_an_address_that_is_never_seen_else() -> None:
    story = _story("stolen-key")
    victim = the_day().company.person("tomas.rivera")
    address = story.cloudtrail[0].record["sourceIPAddress"]
    assert story.cloudtrail[0].record["userIdentity"]["accessKeyId"] == victim.key
    elsewhere = [e for e in events(the_day()) if e.get("eventID") not in story.ids]
    assert any(e.get("userIdentity", {}).get("accessKeyId") == victim.key for e in elsewhere)
    assert all(e.get("sourceIPAddress") != address for e in elsewhere)


def test_the_thief_looks_stays_and_takes_in_that_order() -> None:
    called = _called(_story("stolen-key"))
    steps = [
        "GetCallerIdentity",
        "ListUsers",
        "CreateUser",
        "CreateAccessKey",
        "AttachUserPolicy",
        "CreateLoginProfile",
        "ModifySnapshotAttribute",
        "GetSecretValue",
    ]
    assert [called.index(step) for step in steps] == sorted(called.index(step) for step in steps)


def test_the_new_administrator_and_the_foreign_account_are_in_the_parameters() -> None:
    story = _story("stolen-key")
    assert _record(story, "AttachUserPolicy")["requestParameters"]["policyArn"].endswith(":policy/AdministratorAccess")
    added = _record(story, "ModifySnapshotAttribute")["requestParameters"]["createVolumePermission"]["add"]["items"]
    assert {item["userId"] for item in added}.isdisjoint({a.number for a in the_day().company.accounts})
    key = _record(story, "CreateAccessKey")["responseElements"]["accessKey"]["accessKeyId"]
    assert story.cloudtrail[-1].record["userIdentity"]["accessKeyId"] == key


def test_the_escape_goes_from_a_token_over_a_privileged_pod_to_the_whole_cluster() -> None:
    done = [
        (e.record["verb"], e.record["objectRef"]["resource"], e.record["objectRef"].get("subresource"))
        for e in _story("container-escape").audit
        if e.record["stage"] == "ResponseComplete"
    ]
    steps = [("create", "pods", "exec"), ("create", "pods", None), ("create", "clusterrolebindings", None)]
    assert [done.index(step) for step in steps] == sorted(done.index(step) for step in steps)
    pod = next(
        e.record["requestObject"]
        for e in _story("container-escape").audit
        if e.record.get("requestObject", {}).get("kind") == "Pod"
    )
    assert pod["spec"]["containers"][0]["securityContext"]["privileged"] is True
    assert pod["spec"]["volumes"][0]["hostPath"]["path"] == "/"


def test_the_nodes_credentials_are_used_outside_and_changed_for_another_role() -> None:
    story = _story("container-escape")
    company = the_day().company
    first = story.cloudtrail[0].record
    assert first["userIdentity"]["sessionContext"]["ec2RoleDelivery"] == "2.0"
    assert first["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"] == company.cluster.node_role
    assert first["sourceIPAddress"] not in company.egress
    issued = _record(story, "AssumeRole")["responseElements"]["credentials"]["accessKeyId"]
    taken = [e.record for e in story.cloudtrail if e.record["eventName"] == "GetObject"]
    assert len(taken) >= 20
    assert {record["userIdentity"]["accessKeyId"] for record in taken} == {issued}


def test_every_request_has_its_stages_under_one_audit_id() -> None:
    stages: dict[str, list[str]] = {}
    for event in _story("container-escape").audit:
        stages.setdefault(event.record["auditID"], []).append(event.record["stage"])
    assert {found[0] for found in stages.values()} == {"RequestReceived"}
    assert {found[-1] for found in stages.values()} == {"ResponseComplete"}
    assert ["RequestReceived", "ResponseStarted", "ResponseComplete"] in stages.values()


def test_the_insider_signs_in_first_and_blinds_every_kind_of_log() -> None:
    called = _called(_story("logging-off"))
    assert called[0] == "ConsoleLogin"
    assert {
        "PutEventSelectors",
        "StopLogging",
        "UpdateDetector",
        "DeleteFlowLogs",
        "StopConfigurationRecorder",
        "DeleteBucketPolicy",
    } <= set(called)


def test_both_sides_of_a_change_of_role_share_an_id_and_have_their_own() -> None:
    sides: dict[str, list[dict[str, Any]]] = {}
    for event in events(the_day()):
        if "sharedEventID" in event:
            sides.setdefault(event["sharedEventID"], []).append(event)
    assert len(sides) > 10
    for both in sides.values():
        assert len({event["eventID"] for event in both}) == 2
        assert len({event["recipientAccountId"] for event in both}) == 2
