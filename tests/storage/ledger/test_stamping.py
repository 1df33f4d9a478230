"""A time stamp is taken only if it is of these bytes, of this request and of a believed authority."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from rfc3161_client import decode_timestamp_response

from ingest.schema.errors import ConfigError
from storage.ledger.cosigning import Declined, Outcome
from storage.ledger.posting import Reply
from storage.ledger.stamping import AuthorityClient, read_certificates
from tests.storage.ledger.authority import Authority

DATA = b"a checkpoint\n"


def client(authority: Authority, believed: Authority | None = None) -> AuthorityClient:
    return AuthorityClient("tsa", "https://tsa.example", [(believed or authority).root], authority)


async def test_a_right_stamp_is_returned_as_it_came() -> None:
    authority = Authority()
    reply = await client(authority).stamp(DATA)
    assert isinstance(reply, bytes)
    assert decode_timestamp_response(reply).tst_info.gen_time == authority.now


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"away": True}, Outcome.AWAY),
        ({"http_status": 503}, Outcome.AWAY),
        ({"status": 2}, Outcome.REFUSED),
        ({"wrong": "imprint"}, Outcome.BROKEN),
        ({"wrong": "nonce"}, Outcome.BROKEN),
        ({"wrong": "signature"}, Outcome.BROKEN),
    ],
)
async def test_a_wrong_answer_is_told_by_its_kind(changes: dict[str, object], outcome: Outcome) -> None:
    declined = await client(Authority(**changes)).stamp(DATA)  # type: ignore[arg-type]
    assert isinstance(declined, Declined)
    assert declined.outcome is outcome


async def test_an_authority_that_nobody_named_is_not_believed() -> None:
    declined = await client(Authority(), believed=Authority()).stamp(DATA)
    assert isinstance(declined, Declined)
    assert declined.outcome is Outcome.BROKEN


async def test_a_stamp_from_after_the_end_of_its_certificate_is_refused() -> None:
    authority = Authority()
    authority.now += dt.timedelta(days=2)
    declined = await client(authority).stamp(DATA)
    assert isinstance(declined, Declined)
    assert declined.outcome is Outcome.BROKEN


async def test_any_other_bytes_are_no_stamp() -> None:
    async def answer(*_: object) -> Reply:
        return Reply(200, b"<html>")

    declined = await AuthorityClient("tsa", "https://tsa.example", [Authority().root], answer).stamp(DATA)
    assert isinstance(declined, Declined)
    assert declined.outcome is Outcome.BROKEN


def test_certificates_are_read_or_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    with pytest.raises(ConfigError, match="No such file"):
        read_certificates(file, "tsa")
    file.write_text("no certificate")
    with pytest.raises(ConfigError, match="authority tsa"):
        read_certificates(file, "tsa")
    one, other = Authority(), Authority()
    file.write_bytes(one.root_pem + other.root_pem)
    assert read_certificates(file, "tsa") == [one.root, other.root]
