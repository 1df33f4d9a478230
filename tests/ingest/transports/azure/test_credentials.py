"""Tokens of Event Hubs made of a connection string in a file."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import pytest

from ingest.schema.errors import ConfigError
from ingest.transports.azure.credentials import SharedAccess
from tests.doubles.event_hubs.hub import Hub

ADDRESS = "sb://name.servicebus.windows.net/hub"
NOW = 4_000_000_000.0  # the double compares with its own clock


def string(key: str) -> str:
    return f"Endpoint=sb://name.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey={key}"


async def test_a_token_is_signed_as_the_service_checks_it_and_lasts_an_hour(tmp_path: Path) -> None:
    file = tmp_path / "hub"
    file.write_text(string("secret="))
    token = await SharedAccess(file, lambda: NOW).get_token(ADDRESS)
    assert token.expires_on == NOW + 3600
    assert Hub("hub", 1, policies={"listen": "secret="}).allows(token.token)
    assert not Hub("hub", 1, policies={"listen": "other"}).allows(token.token)


async def test_the_next_token_is_made_with_the_key_that_is_in_the_file_then(tmp_path: Path) -> None:
    file, hub = tmp_path / "hub", Hub("hub", 1, policies={"listen": "second"})
    access = SharedAccess(file, lambda: NOW)
    file.write_text(string("first"))
    assert not hub.allows((await access.get_token(ADDRESS)).token)
    file.write_text(string("second"))
    assert hub.allows((await access.get_token(ADDRESS)).token)


async def test_a_signature_that_was_given_is_used_until_it_expires(tmp_path: Path) -> None:
    file = tmp_path / "hub"
    given = f"SharedAccessSignature sr=sb%3A%2F%2Fname&sig=abc%3D&se={NOW:.0f}&skn=listen"
    file.write_text(f"Endpoint=sb://name.servicebus.windows.net/;SharedAccessSignature={given}")
    token = await SharedAccess(file, lambda: NOW - 60).get_token(ADDRESS)
    assert (token.token, token.expires_on) == (given, NOW)
    assert parse_qs(token.token.partition(" ")[2])["sig"] == ["abc="]


async def test_a_file_that_vanished_is_told_when_the_next_token_is_needed(tmp_path: Path) -> None:
    access = SharedAccess(tmp_path / "gone", lambda: NOW)
    with pytest.raises(ConfigError, match="reading connection string"):
        await access.get_token(ADDRESS)
