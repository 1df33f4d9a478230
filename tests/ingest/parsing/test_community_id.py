"""Flow ids, against values that the specification's own implementation gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsing.community_id import community_id

ADDRESSES = st.ip_addresses(v=4).map(str)
PORTS = st.integers(0, 65_535)


@pytest.mark.parametrize(
    ("source", "destination", "protocol", "ports", "expected"),
    [
        ("128.232.110.120", "66.35.250.204", 6, (34855, 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        ("66.35.250.204", "128.232.110.120", 6, (80, 34855), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        ("192.168.1.52", "8.8.8.8", 17, (54585, 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        ("192.168.170.8", "192.168.170.56", 132, (7, 7), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
    ],
)
def test_published_ids_come_out(
    source: str, destination: str, protocol: int, ports: tuple[int, int], expected: str
) -> None:
    assert community_id(source, destination, protocol, *ports) == expected


@given(ADDRESSES, ADDRESSES, st.sampled_from([6, 17, 47, 132]), PORTS, PORTS)
def test_both_directions_have_one_id(one: str, other: str, protocol: int, port: int, other_port: int) -> None:
    there, back = (
        community_id(one, other, protocol, port, other_port),
        community_id(other, one, protocol, other_port, port),
    )
    assert there == back
    assert there is not None


@pytest.mark.parametrize(
    ("destination", "protocol", "port"),
    [("10.0.0.2", 6, None), ("::2", 6, 1), ("10.0.0.2", 1, 0), ("10.0.0.2", 300, 1)],
)
def test_no_id_is_made_of_too_little(destination: str, protocol: int, port: int | None) -> None:
    assert community_id("10.0.0.1", destination, protocol, port, port) is None
