"""No secret leaves a record; everything else keeps its bytes."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats.gcp_audit.format import FORMAT
from ingest.formats.gcp_audit.redaction import redact
from tests.ingest.formats.gcp_audit.test_format import entry, pushed

NAMES = """
    privateKeyData private_key_data privateKey private_key accessToken access_token refreshToken idToken identityToken
    bearerToken signedJwt clientSecret password rootPassword adminPassword user_password keyString key_string
    sharedSecret rawKey rsaEncryptedKey hmacSecret PRIVATEKEYDATA
""".split()  # noqa: SIM905 - a table of names reads better as one


@pytest.mark.parametrize("name", NAMES)
def test_a_member_that_is_a_secret_by_its_name_is_replaced(name: str) -> None:
    record = entry({"response": {name: 'HIDE"ME\\', "beside": "stays"}})
    reading = FORMAT.read(record)
    assert b"HIDE" not in reading.shown
    assert reading.normalise()["gcp"]["audit"]["response"] == {name: "<redacted>", "beside": "stays"}
    assert "HIDE" not in json.dumps(dict(reading.view().vendor))
    assert reading.record is record


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_json_inside_a_text_hides_nothing(name: str, levels: int) -> None:
    text = json.dumps({name: "HIDE-ME"})
    for _ in range(levels - 1):
        text = json.dumps({"inner": text})
    assert b"HIDE-ME" not in redact(entry({"request": {"body": text}}))


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtYXJpYSJ9.c2lnbmF0dXJl",
        "ya29.a0AfH6SMBxABCDEFGHIJKLMNOP",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "GOCSPX-abcdefghijklmnopqrst",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_tokens_and_keys_are_replaced_wherever_they_stand(secret: str) -> None:
    record = entry({"request": {"note": f"before {secret} after"}})
    shown = FORMAT.read(record).shown
    assert json.dumps(secret)[1:-1].encode() not in shown
    assert b"MIIEow" not in shown
    assert b"before <redacted> after" in shown


def test_a_secret_in_a_message_of_pubsub_is_not_shown_in_base64() -> None:
    record = pushed(entry({"response": {"privateKeyData": "HIDE-ME"}}))
    reading = FORMAT.read(record)
    inner = base64.b64decode(json.loads(reading.shown)["message"]["data"])
    assert b"HIDE-ME" not in inner
    assert b"<redacted>" in inner
    assert json.loads(reading.shown)["subscription"] == "projects/p/subscriptions/s"
    assert reading.record == record


def test_a_record_without_secrets_is_the_same_object() -> None:
    for record in (entry(), entry({"request": {"tokenType": "x", "keyCount": 3, "password": ""}})):
        assert redact(record) is record
        assert FORMAT.read(record).shown is record
    assert FORMAT.read(pushed(entry())).shown == pushed(entry())


def test_other_bytes_stay_as_they_are() -> None:
    record = b'{ "n":1.50 ,"password" :  "x" , "m":123456789012345678901234567890}'
    assert redact(record) == record.replace(b'"x"', b'"<redacted>"')


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b'"password":', b'\\"password\\":', b'"', b"\\", b"{", b"}", b",", b"-----BEGIN PRIVATE KEY-----"]
        )
        | st.binary(max_size=4),
        max_size=30,
    ).map(b"".join)
)
def test_redacting_never_raises(text: bytes) -> None:
    assert isinstance(redact(text), bytes)
