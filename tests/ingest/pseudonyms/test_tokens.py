"""The same value has the same token; who lacks the key learns nothing of it, and who has it learns all but IPv6."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.pseudonyms.tokens import TOKEN, Tokens, address_of, kind_of

ONE = Tokens(b"\x01" * 64, "acme")
OTHER_KEY = Tokens(b"\x02" * 64, "acme")
OTHER_TENANT = Tokens(b"\x01" * 64, "globex")
LOCAL = ipaddress.ip_network("fd00::/8")
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(lambda text: kind_of(text) == "user")
EMAILS = st.from_regex(r"[a-zA-Z0-9._+-]{1,20}@[a-z0-9]{1,10}\.example", fullmatch=True)
V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None).map(str)
VALUES = NAMES | EMAILS | V4 | V6


@given(VALUES)
def test_the_same_value_has_the_same_token_and_no_part_of_it(value: str) -> None:
    token = ONE.token(value)
    assert token == Tokens(b"\x01" * 64, "acme").token(value)
    assert token != value
    assert len(value) < 6 or value not in token


@given(VALUES)
def test_tokens_of_another_key_or_another_tenant_can_not_be_joined(value: str) -> None:
    assert len({ONE.token(value), OTHER_KEY.token(value), OTHER_TENANT.token(value)}) == 3


@given(st.lists(NAMES | EMAILS.map(str.lower) | V4 | V6, unique_by=lambda value: address_of(value) or value))
def test_different_values_have_different_tokens(values: list[str]) -> None:
    assert len({ONE.token(value) for value in values}) == len(values)


@given(NAMES)
def test_a_name_can_be_revealed_as_it_was_with_its_own_key_alone(name: str) -> None:
    token = ONE.token(name)
    assert TOKEN.fullmatch(token)
    assert ONE.reveal(token) == ("user", name)
    assert OTHER_KEY.reveal(token) is None
    assert OTHER_TENANT.reveal(token) is None


@given(EMAILS)
def test_an_email_address_has_one_token_whatever_its_case_and_is_revealed_in_lower_case(email: str) -> None:
    assert ONE.token(email.upper()) == ONE.token(email.lower())
    assert ONE.reveal(ONE.token(email)) == ("email", email.lower())


def test_names_that_differ_in_case_are_two_people() -> None:
    assert ONE.token("Alice") != ONE.token("alice")


@given(V4 | V6)
def test_the_token_of_an_address_is_a_unique_local_address(value: str) -> None:
    assert ipaddress.ip_address(ONE.token(value)) in LOCAL


@given(V4)
def test_an_ipv4_address_can_be_revealed_with_its_own_key_alone(value: str) -> None:
    token = ONE.token(value)
    assert ONE.reveal(token) == ("address", value)
    assert OTHER_KEY.reveal(token) is None
    assert ONE.token(f"::ffff:{value}") == token


@given(V6)
def test_an_ipv6_address_can_not_be_revealed(value: str) -> None:
    assert ONE.reveal(ONE.token(value)) is None
    assert ONE.token(ipaddress.ip_address(value).exploded.upper()) == ONE.token(value)


@given(st.text(max_size=80) | st.from_regex(r"psn-[ueh]-[a-z2-7]{16,60}", fullmatch=True))
def test_what_nobody_made_is_not_revealed(token: str) -> None:
    assert ONE.reveal(token) is None


@pytest.mark.parametrize("length", [257, 5000])
def test_a_very_long_name_has_a_short_token_that_can_not_be_revealed(length: int) -> None:
    token = ONE.token("x" * length)
    assert len(token) < 50
    assert ONE.reveal(token) is None
    assert ONE.token("x" * (length + 1)) != token


def test_a_token_does_not_tell_the_exact_length_of_a_name() -> None:
    assert len({len(ONE.token("x" * length)) for length in range(1, 8)}) == 1
