"""Only real addresses are addresses."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsing.addresses import ip_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("198.51.100.7", "198.51.100.7"),
        (" 198.51.100.7 ", "198.51.100.7"),
        ("1.2.3.4:51234", "1.2.3.4"),
        ("[::1]:443", "::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("[::ffff:1.2.3.4]:80", "1.2.3.4"),
        ("253.252.51.07", None),
        ("::2a02:cf40:add:4002:91f2:a9b2:e09a:6fc6", None),
        ("fe80::1%eth0", None),
        ("[fe80::1%eth0]:80", None),
        ("1.2.3.4:", None),
        ("1.2.3.4:x", None),
        ("1.2.3.4.5", None),
        ("1.2.3", None),
        ("10.0.0.0/8", None),
        ("3232235777", None),
        ("٣.1.1.1", None),
        ("AWS Internal", None),
        ("cloudtrail.amazonaws.com", None),
        ("gce-internal-ip", None),
        ("", None),
        ("1" * 100_000, None),
    ],
)
def test_an_address_loses_its_port_and_everything_else_is_none(text: str, address: str | None) -> None:
    assert ip_of(text) == address


@given(st.text(max_size=60) | st.text(alphabet="0123456789abcdef:.[]%/ ", max_size=60))
def test_whatever_comes_back_is_an_address_in_its_normal_form(text: str) -> None:
    found = ip_of(text)
    assert found is None or (str(ipaddress.ip_address(found)) == found and ip_of(found) == found)


@given(st.ip_addresses(), st.integers(0, 65_535))
def test_every_address_survives_with_and_without_a_port(address: ipaddress.IPv4Address, port: int) -> None:
    bare = ip_of(str(address))
    assert bare is not None
    assert ip_of(f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}") == bare
