"""Fills what the settings leave open with the local engines of `skytrail up`, and refuses unsafe connections."""

from __future__ import annotations

from pydantic import SecretStr

from ingest.kafka_client import check_safe
from ingest.schema.errors import EngineError
from skytrail.local.engines import EngineState, load
from skytrail.settings import Settings
from storage.settings import Login

DUTIES = ("bootstrap", "indexer", "alerter", "reader", "analyst", "retention", "eraser", "auditor")


def connected(settings: Settings, *, kafka: bool = True, elasticsearch: bool = True) -> Settings:
    """Settings whose addresses and identities are all known.

    Raises:
        EngineError: Something is left open and no local engines are known.
        ConfigError: The connection would be unsafe.
    """
    needs_kafka = kafka and not settings.kafka.bootstrap_servers
    needs_index = elasticsearch and not settings.elasticsearch.url
    if needs_kafka or needs_index:
        state = load(settings.engines_home)
        if state is None:
            what = " and ".join(n for n, needed in (("Kafka", needs_kafka), ("Elasticsearch", needs_index)) if needed)
            raise EngineError(
                f"looking for {what}: the settings name none and no local engines were started",
                where=str(settings.engines_home),
                mend="run `skytrail up`, or set kafka.bootstrap_servers and elasticsearch.url",
            )
        settings = with_engines(settings, state)
    if kafka:
        check_safe(settings.kafka)
    return settings


def with_engines(settings: Settings, state: EngineState) -> Settings:
    """Settings that point to these local engines wherever they point nowhere."""
    changes: dict[str, object] = {}
    if not settings.kafka.bootstrap_servers:
        changes["kafka"] = settings.kafka.model_copy(
            update={
                "bootstrap_servers": state.kafka_bootstrap,
                "security_protocol": state.kafka_security_protocol,
                "sasl_mechanism": state.kafka_mechanism,
                "username": state.kafka_username,
                "password": SecretStr(state.kafka_password),
            }
        )
    if not settings.elasticsearch.url:
        users = state.elasticsearch_users  # those of a home that an older version made may lack a duty until a restart
        logins = {duty: Login(username=duty, password=SecretStr(users[duty])) for duty in DUTIES if duty in users}
        changes["elasticsearch"] = settings.elasticsearch.model_copy(update={"url": state.elasticsearch_url, **logins})
    return settings.model_copy(update=changes)
