"""Options of every Kafka client we build, from the settings."""

from __future__ import annotations

import ssl
from typing import Any

from ingest.loopback import at_loopback
from ingest.schema.errors import ConfigError
from ingest.settings import KafkaSettings


def check_safe(settings: KafkaSettings) -> None:
    """Refuse to send logs in clear text across a network.

    Raises:
        ConfigError: Plaintext to another host than loopback without `kafka.allow_plaintext`.
    """
    if settings.security_protocol in ("SSL", "SASL_SSL") or settings.allow_plaintext:
        return
    beyond = [h for h in settings.bootstrap_servers.split(",") if not at_loopback(h)]
    if beyond:
        raise ConfigError(
            f"checking settings: {settings.security_protocol} to {', '.join(beyond)} would send logs unencrypted",
            where="kafka.security_protocol",
            mend="use SASL_SSL or SSL, or set kafka.allow_plaintext = true inside a trusted network",
        )


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """TLS context for protocols that need one.

    Raises:
        ConfigError: The authority's file can't be read.
    """
    if settings.security_protocol not in ("SSL", "SASL_SSL"):
        return None
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"reading the brokers' authority: {exc}",
            where=f"kafka.ca_file {settings.ca_file}",
            mend="give a readable PEM file",
        ) from exc


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments that aiokafka clients share: addresses, TLS, SASL."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
        "ssl_context": ssl_context(settings),
    }
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism or "SCRAM-SHA-512",
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password.get_secret_value(),
        }
    return options
