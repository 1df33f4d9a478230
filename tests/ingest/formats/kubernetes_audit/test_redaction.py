"""Secrets leave the record before anything of it reaches a document; everything else keeps its bytes."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats.kubernetes_audit.format import FORMAT
from ingest.formats.kubernetes_audit.redaction import redact
from tests.ingest.formats.kubernetes_audit.conformity import cases, record

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtYXJpYSJ9.c2ln-bmF0_dXJl"
TIMES = {"stageTimestamp": "2026-11-22T08:01:39.686299Z", "auditID": "a"}


def on_secrets(**bodies: Any) -> bytes:
    return json.dumps({**TIMES, "verb": "patch", "objectRef": {"resource": "secrets"}, **bodies}).encode()


@pytest.mark.parametrize(
    "held",
    [
        {"responseObject": {"kind": "Secret", "data": {"password": "SECRET"}}},
        {"requestObject": {"kind": "Secret", "stringData": {"password": "SECRET", "n": 7}}},
        {"requestObject": {"data": {"password": "SECRET"}}},
        {"requestObject": [{"op": "replace", "path": "/data/password", "value": "SECRET"}]},
        {"responseObject": {"kind": "SecretList", "items": [{"data": {"a": "SECRET"}}, {"data": {"b": "SECRET"}}]}},
        {
            "responseObject": {
                "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"data":"SECRET"}'}}
            }
        },
    ],
)
def test_data_of_secrets_is_replaced_and_its_keys_stay(held: dict[str, Any]) -> None:
    clean = redact(on_secrets(**held))
    assert b"SECRET" not in clean
    assert b"<redacted>" in clean
    assert _keys(json.loads(clean)) == _keys(json.loads(on_secrets(**held)))


@pytest.mark.parametrize("body", ["requestObject", "responseObject"])
@pytest.mark.parametrize("place", ["spec", "status"])
def test_tokens_of_requests_and_reviews_are_replaced(body: str, place: str) -> None:
    review = json.dumps({**TIMES, "verb": "create", body: {"kind": "TokenReview", place: {"token": "opaque-token"}}})
    assert json.loads(redact(review.encode()))[body][place]["token"] == "<redacted>"


def test_an_empty_token_and_a_null_say_nothing_and_stay() -> None:
    request = json.dumps({**TIMES, "requestObject": {"status": {"token": ""}, "spec": {"token": None}}}).encode()
    assert redact(request) is request


def test_tokens_in_addresses_and_anywhere_else_are_replaced() -> None:
    uri = f"/api/v1/x/proxy/?token=abcdef&a=1&access_token=zzz&continue={JWT}"
    clean = redact(json.dumps({**TIMES, "requestURI": uri, "userAgent": JWT}).encode()).decode()
    assert json.loads(clean)["requestURI"] == (
        "/api/v1/x/proxy/?token=<redacted>&a=1&access_token=<redacted>&continue=<redacted>"
    )
    assert JWT not in clean


def test_an_event_inside_a_wrapper_is_redacted_inside_its_string() -> None:
    inner = on_secrets(responseObject={"data": {"a": "SECRET"}}).decode()
    wrapped = json.dumps({"id": "1", "timestamp": 1, "message": inner, "log": json.dumps({"log": inner})}).encode()
    clean = redact(wrapped)
    assert b"SECRET" not in clean
    assert json.loads(json.loads(clean)["message"])["responseObject"]["data"]["a"] == "<redacted>"
    assert json.loads(json.loads(json.loads(clean)["log"])["log"])["responseObject"]["data"]["a"] == "<redacted>"


def test_gke_bodies_are_redacted_too() -> None:
    entry = {
        "timestamp": "2026-11-22T08:01:39Z",
        "protoPayload": {
            "serviceName": "k8s.io",
            "resourceName": "core/v1/namespaces/shop/secrets/key",
            "response": {"data": {"a": "SECRET"}},
        },
    }
    assert b"SECRET" not in redact(json.dumps(entry).encode())


def test_rules_do_not_see_secrets_either() -> None:
    vendor = FORMAT.view(on_secrets(responseObject={"data": {"a": "SECRET"}})).vendor
    assert vendor["responseObject"]["data"] == {"a": "<redacted>"}


def test_credentials_of_a_config_map_are_replaced_and_everything_else_stays() -> None:
    file = "colour=green\ndb.password=SECRET\nurl=postgres://app:SECRET@db/shop\nretries=3\n"
    event = {
        **TIMES,
        "objectRef": {"resource": "configmaps", "name": "settings"},
        "requestObject": {
            "kind": "ConfigMap",
            "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"a":"SECRET"}'}},
            "data": {"API_KEY": "SECRET", "colour": "green", "app.properties": file, "user": '{"apiToken": "SECRET"}'},
        },
    }
    clean = redact(json.dumps(event).encode())
    assert b"SECRET" not in clean
    data = json.loads(clean)["requestObject"]["data"]
    assert data["colour"] == "green"
    assert data["app.properties"] == (
        "colour=green\ndb.password=<redacted>\nurl=postgres://app:<redacted>@db/shop\nretries=3\n"
    )
    assert json.loads(data["user"]) == {"apiToken": "<redacted>"}


def test_data_of_a_config_map_and_other_bytes_stay_as_they_are() -> None:
    data = {
        "tokens": "9",
        "passwordPolicy": "x",
        "mapRoles": "- rolearn: arn:aws:iam::1:role/a\n  groups: [system:masters]",
        "app.env": "password=\nsecret: ${VAULT}\ntoken_file=/run/token\napi_key: null",
    }
    plain = json.dumps({**TIMES, "requestObject": {"kind": "ConfigMap", "data": data}, "n": 1.5}).encode()
    assert redact(plain) is plain
    mixed = b'{ "n":1.50 ,"requestObject":{"kind":"Secret", "data":{"k":"v"} } ,"m":123456789012345678901234567890}'
    assert redact(mixed) == mixed.replace(b'"v"', b'"<redacted>"')


@pytest.mark.parametrize("case", cases())
def test_identity_and_archive_see_the_exact_bytes(case: str) -> None:
    before = record(case)
    after = bytes(before)
    redact(before)
    assert before == after
    identity = FORMAT.identify(before)
    assert identity is None or identity.startswith(str(FORMAT.view(before).vendor["auditID"]))


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=80)
    | st.lists(
        st.sampled_from(
            [
                b'"token":',
                b'"kind":"Secret"',
                b'"data":',
                b'"responseObject":',
                b"{",
                b"}",
                b"[",
                b"]",
                b'"',
                b",",
                b":",
            ]
        )
        | st.binary(max_size=3),
        max_size=30,
    ).map(b"".join)
)
def test_redacting_never_raises(text: bytes) -> None:
    assert isinstance(redact(text), bytes)


def _keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _keys(item) for key, item in value.items()}
    return [_keys(item) for item in value] if isinstance(value, list) else None


def test_a_secret_in_a_message_of_pubsub_is_taken_out_of_what_is_shown() -> None:
    entry = {
        "protoPayload": {
            "serviceName": "k8s.io",
            "methodName": "io.k8s.core.v1.secrets.create",
            "resourceName": "core/v1/namespaces/shop/secrets/door",
            "request": {"kind": "Secret", "data": {"key": "aHVudGVyMg=="}},
        },
        "timestamp": "2026-11-22T09:21:04Z",
    }
    plain = json.dumps(entry).encode()
    for message in (
        {"data": base64.b64encode(plain).decode()},
        {"message": {"data": base64.b64encode(plain).decode()}},
    ):
        reading = FORMAT.read(json.dumps(message).encode())
        outer = json.loads(reading.shown)
        shown = base64.b64decode(outer.get("message", outer)["data"])
        assert b"aHVudGVyMg==" in plain
        assert b"aHVudGVyMg==" not in shown
        assert json.loads(shown)["protoPayload"]["request"]["data"] == {"key": "<redacted>"}
        assert reading.normalise()["orchestrator"]["resource"] == {"type": "secrets", "name": "door"}
