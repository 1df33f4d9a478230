"""What is on this machine, and what only looks like it."""

from __future__ import annotations

import pytest

from ingest.kafka_client import check_safe
from ingest.loopback import at_loopback
from ingest.schema.errors import ConfigError
from ingest.settings import KafkaSettings
from ingest.transports.google_cloud.storage import refuse_unsafe_storage

HERE = ["127.0.0.1:9092", "127.8.8.8", "localhost:9092", "localhost", "[::1]:9092", "::1", " localhost:1 "]
ELSEWHERE = [
    "localhost.example.org:9092",
    "127.example.org:9092",
    "127.0.0.1.example.org:9092",
    "localhostess:1",
    "127.0.0.1@example.org:9092",
    "[::1].example.org:1",
    "[::1",
    "::1.example.org",
    "",
    "10.0.0.1:9092",
]


@pytest.mark.parametrize("address", HERE)
def test_this_machine_may_be_reached_without_encryption(address: str) -> None:
    assert at_loopback(address)
    check_safe(KafkaSettings(bootstrap_servers=f"localhost:1,{address}", security_protocol="SASL_PLAINTEXT"))


@pytest.mark.parametrize("address", ELSEWHERE)
def test_a_name_that_only_begins_like_this_machine_is_another_one(address: str) -> None:
    assert not at_loopback(address)
    with pytest.raises(ConfigError, match="would send logs unencrypted"):
        check_safe(KafkaSettings(bootstrap_servers=f"localhost:1,{address}", security_protocol="SASL_PLAINTEXT"))


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1@example.org", "http://localhost.example.org:80", "example.org"])
def test_storage_in_the_clear_is_refused_beyond_this_machine(endpoint: str) -> None:
    refuse_unsafe_storage("http://127.0.0.1:4443")
    with pytest.raises(ConfigError, match="beyond loopback"):
        refuse_unsafe_storage(endpoint)
