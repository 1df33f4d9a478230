"""The consumer and what its errors mean."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka_errors
from aiokafka.conn import create_conn

from ingest.kafka_client import check_safe, client_options
from ingest.schema.errors import ConfigError, SkytrailError, SourceRefused, SourceUnavailable
from ingest.settings import KafkaSettings
from ingest.transports.kafka.settings import KafkaSourceSettings

# A consumer that does not ask for messages is under back-pressure, not dead: it must not lose its partitions for it.
# Whether it lives is told by heartbeats, which stop with the event loop.
_POLL_INTERVAL_MS = 7 * 24 * 3600 * 1000
_ANSWER_S = 15.0
_CREDENTIALS = (
    kafka_errors.SaslAuthenticationFailed,
    kafka_errors.AuthenticationFailedError,
    kafka_errors.IllegalSaslStateError,
)
_PERMISSIONS = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
)


def options_of(settings: KafkaSourceSettings) -> dict[str, Any]:
    """Addresses, TLS and SASL of a client; reads the files that the settings name.

    Raises:
        ConfigError: Logs would travel unencrypted, or a file can't be read.
    """
    same = settings.model_dump(
        include={"bootstrap_servers", "security_protocol", "allow_plaintext", "sasl_mechanism", "username", "ca_file"}
    )
    connection = KafkaSettings.model_validate(same | {"password": _password(settings)})
    check_safe(connection)
    options = client_options(connection)
    context: ssl.SSLContext | None = options["ssl_context"]
    if context is not None and settings.certificate_file is not None:
        try:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
        except (OSError, ssl.SSLError) as exc:
            where = f"certificate_file {settings.certificate_file}, key_file {settings.key_file}"
            mend = "check that they are PEM, belong together, and that this user may read them"
            raise ConfigError(f"reading our certificate: {exc}", where=where, mend=mend) from exc
    return options


def _password(settings: KafkaSourceSettings) -> str:
    if not settings.security_protocol.startswith("SASL"):
        return ""
    if settings.password_file is None or not settings.username:
        mend = "set both, or a security_protocol without SASL"
        raise ConfigError(
            "checking settings: SASL needs a user and a password", where="username, password_file", mend=mend
        )
    try:
        password = settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        mend = "create it with the password of username, readable by this user only"
        raise ConfigError(
            f"reading password: {exc}", where=f"password_file {settings.password_file}", mend=mend
        ) from exc
    if not password:
        raise ConfigError("reading password: the file is empty", where=f"password_file {settings.password_file}")
    return password


def new_consumer(settings: KafkaSourceSettings, group_id: str) -> AIOKafkaConsumer:
    """A consumer that commits only what it is told to, and says when it has no valid offset."""
    session_ms = int(settings.session_timeout_s * 1000)
    return AIOKafkaConsumer(
        group_id=group_id,
        client_id=group_id,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        max_partition_fetch_bytes=settings.fetch_max_bytes,
        fetch_max_bytes=4 * settings.fetch_max_bytes,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 10,
        rebalance_timeout_ms=session_ms,
        max_poll_interval_ms=_POLL_INTERVAL_MS,
        request_timeout_ms=int(_ANSWER_S * 1000),
        **options_of(settings),
    )


def meaning(doing: str, exc: BaseException, settings: KafkaSourceSettings) -> SkytrailError:
    """An error of the client as one of ours: refused for good, or away."""
    where = f"{settings.bootstrap_servers}, topics {', '.join(settings.topics)}"
    what = f"{doing}: {type(exc).__name__}: {exc}"
    if isinstance(exc, _CREDENTIALS):
        return SourceRefused(what, where=where, mend="check username, password_file and sasl_mechanism")
    if isinstance(exc, kafka_errors.UnsupportedSaslMechanismError):
        return SourceRefused(what, where=where, mend="set sasl_mechanism to one that the brokers offer")
    if isinstance(exc, _PERMISSIONS):
        return SourceRefused(what, where=where, mend="allow this user to read the topics and to use the group")
    if isinstance(exc, ssl.SSLError):
        return SourceRefused(what, where=where, mend="check ca_file, certificate_file and the port's protocol")
    return SourceUnavailable(what, where=where)


async def diagnose(settings: KafkaSourceSettings) -> BaseException | None:
    """Why no broker could be reached: the client itself tells only that none was."""
    options = options_of(settings)
    servers = str(options.pop("bootstrap_servers"))
    last: BaseException | None = None
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            connection = await asyncio.wait_for(create_conn(host.strip("[]"), int(port), **options), _ANSWER_S)
        except (OSError, TimeoutError, ValueError, kafka_errors.KafkaError) as exc:
            last = exc
        else:
            connection.close()
            return None
    return last
