"""A look at the settings of a Kafka source, without a connection."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.transports.contract import Finding
from ingest.transports.kafka.client import options_of
from ingest.transports.kafka.settings import KafkaSourceSettings


def inspect(settings: KafkaSourceSettings) -> Iterator[Finding]:
    """Whether a client could be made.

    Raises:
        ConfigError: It could not: a file is missing, or logs would travel unencrypted.
    """
    options_of(settings)
    secrets = tuple(file for file in (settings.password_file, settings.key_file) if file is not None)
    topics = ", ".join(settings.topics)
    yield Finding("ok", f"reads {topics} from {settings.bootstrap_servers}", secret_files=secrets)
