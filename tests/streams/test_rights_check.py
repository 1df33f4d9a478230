from __future__ import annotations

import time

import pytest
from pydantic import SecretStr

from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings
from storage.settings import ElasticsearchSettings, Login
from streams.brokers import knock
from streams.rights_check import IDENTITIES, check_rights
from streams.status import ROLES

AWAY = ElasticsearchSettings(
    url="http://127.0.0.1:9",
    **{duty: Login(username=duty, password=SecretStr("x")) for duty in ("indexer", "alerter", "reader", "retention")},
)


@pytest.mark.parametrize("role", [*ROLES, "rotate"])
def test_an_elasticsearch_that_is_away_does_not_keep_a_role_from_starting(role: str) -> None:
    began = time.monotonic()
    check_rights(role, AWAY)
    assert time.monotonic() - began < 5


def test_the_sealer_needs_no_login_to_elasticsearch() -> None:
    assert "seal" not in IDENTITIES
    check_rights("seal", ElasticsearchSettings())


@pytest.mark.parametrize(
    ("address", "reason"),
    [("127.0.0.1:9", "Connect call failed"), ("kafka", "is not host:port"), ("kafka:many", "is not host:port")],
)
async def test_a_broker_that_can_not_be_reached_is_named_with_the_reason(address: str, reason: str) -> None:
    settings = KafkaSettings(bootstrap_servers=address, security_protocol="PLAINTEXT")
    with pytest.raises(BrokerUnavailable, match=reason) as away:
        await knock(settings, [address])
    assert away.value.mend
