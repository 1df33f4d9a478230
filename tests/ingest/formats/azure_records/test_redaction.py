"""What is secret in a record reaches no document, alert or log."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats.azure_records.redaction import redact

SECRET = 'pl"um\\tree{é}'


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (b'{"uri":"https://a/b?sv=1&sig=aB%2Bc&se=2"}', b'{"uri":"https://a/b?sv=1&sig=<redacted>&se=2"}'),
        (b'{"uri":"https://a/b?SIG=aBc"}', b'{"uri":"https://a/b?SIG=<redacted>"}'),
        (b'{"uri":"https://a/b?sv=1\\u0026sig=aBc\\u0026se=2"}', b'{"uri":"https://a/b?sv=1\\u0026sig=<redacted>\\u0026se=2"}'),
        (b'{"t":"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0NSJ9.c2ln"}', b'{"t":"Bearer <redacted>"}'),
        (b'{"c":"AccountKey=QUJDREVGR0hJSktMTU5PUA==;X=1"}', b'{"c":"AccountKey=<redacted>;X=1"}'),
    ],
)  # fmt: skip
def test_signatures_tokens_and_keys_are_replaced_in_place(text: bytes, clean: bytes) -> None:
    assert redact(text) == clean


@pytest.mark.parametrize("name", ["adminPassword", "ADMINPASSWORD", "secretText", "primaryKey", "connectionString"])
def test_members_that_are_secret_by_name_are_replaced_in_texts_within_texts(name: str) -> None:
    body = json.dumps({"properties": {name: SECRET, "kept": SECRET.replace("um", "")}})
    record = json.dumps({"a": 1, "properties": {"requestbody": json.dumps({"body": body})}}).encode()
    clean = json.loads(redact(record))
    inner = json.loads(json.loads(clean["properties"]["requestbody"])["body"])
    assert inner == {"properties": {name: "<redacted>", "kept": SECRET.replace("um", "")}}
    assert b"tree" not in redact(json.dumps({name: SECRET}).encode())


@pytest.mark.parametrize("text", [b'{"design":"sign","assigned":"x"}', b'{"displayName":"Password","newValue":"x"}'])
def test_what_holds_no_secret_is_the_very_same_object(text: bytes) -> None:
    assert redact(text) is text


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100) | st.text(max_size=60).map(lambda text: f'{{"password":"{text}"'.encode()))
def test_arbitrary_bytes_never_raise(text: bytes) -> None:
    assert isinstance(redact(text), bytes)


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_whatever_the_password_the_record_stays_json_without_it(secret: str) -> None:
    record = json.dumps({"b": json.dumps({"password": secret, "after": [1]})}, ensure_ascii=False)
    clean = json.loads(json.loads(redact(record.encode("utf-8", "replace")))["b"])
    assert clean["after"] == [1]
    assert clean["password"] == "<redacted>"


def test_a_text_that_names_a_secret_and_is_nested_too_deep_to_open_is_replaced_whole() -> None:
    deep = '{"password":"plum","a":' * 300 + "1" + "}" * 300
    assert json.loads(redact(json.dumps({"b": deep, "c": 1}).encode())) == {"b": "<redacted>", "c": 1}
