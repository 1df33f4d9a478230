"""Clients of the local engines for these tests."""

from __future__ import annotations

from typing import Any

from elasticsearch import Elasticsearch

from skytrail.local.engines import EngineState


def elasticsearch_as(state: EngineState, user: str) -> Elasticsearch:
    """A client that acts as one of our identities and never retries."""
    return Elasticsearch(
        state.elasticsearch_url, basic_auth=(user, state.elasticsearch_users[user]), max_retries=0, request_timeout=60
    )


def admin(state: EngineState) -> Elasticsearch:
    """A client that may do everything."""
    return elasticsearch_as(state, "admin")


def kafka_settings(state: EngineState) -> dict[str, Any]:
    """Connection settings of every kafka-python client."""
    return {
        "bootstrap_servers": state.kafka_bootstrap,
        "security_protocol": state.kafka_security_protocol,
        "sasl_mechanism": state.kafka_mechanism,
        "sasl_plain_username": state.kafka_username,
        "sasl_plain_password": state.kafka_password,
    }
