"""Kafka and Elasticsearch as testcontainers start them, for as long as a block lasts."""

from __future__ import annotations

import contextlib
import io
import secrets
import tarfile
from collections.abc import Iterator

from pydantic import SecretStr
from testcontainers.community.elasticsearch import ElasticSearchContainer
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

from ingest.settings import KafkaSettings
from skytrail.local.credentials import ROLES
from storage.settings import ElasticsearchSettings, Login
from tests.integration.docker_engine import ELASTICSEARCH_IMAGE, KAFKA_IMAGE

# The reaper needs an image of its own; the blocks below remove what they start.
testcontainers_config.ryuk_disabled = True

_PORT = 9092
_START = "/tmp/start.sh"
_KAFKA = {
    "CLUSTER_ID": "MkU3OEVBNTcwNTJENDM2Qk",
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_LISTENERS": f"PLAINTEXT://0.0.0.0:{_PORT},CONTROLLER://0.0.0.0:9094",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_HEAP_OPTS": "-Xms256m -Xmx384m",
}


@contextlib.contextmanager
def kafka() -> Iterator[tuple[KafkaSettings, DockerContainer]]:
    """A broker of the official image.

    testcontainers' own class edits paths that only Confluent's image has. This one waits with the start until the port
    on this side is known, so that the broker advertises the right address.
    """
    container = DockerContainer(KAFKA_IMAGE).with_exposed_ports(_PORT)
    for name, value in _KAFKA.items():
        container.with_env(name, value)
    container.with_command(["sh", "-c", f"while [ ! -f {_START} ]; do sleep 0.1; done; sleep 0.1; exec sh {_START}"])
    with container:
        address = f"127.0.0.1:{container.get_exposed_port(_PORT)}"
        script = (
            f"export KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://{address}\n"
            "chmod -R u+w /etc/kafka/docker /opt/kafka/config\n"  # a build from read-only sources has them read-only
            "exec /etc/kafka/docker/run\n"
        )
        container.get_wrapped_container().put_archive("/", _archive(_START, script.encode()))
        LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(120).wait_until_ready(container)
        yield (
            KafkaSettings(bootstrap_servers=address, security_protocol="PLAINTEXT", publish_deadline_s=20),
            container,
        )


@contextlib.contextmanager
def elasticsearch() -> Iterator[tuple[ElasticsearchSettings, Login, ElasticSearchContainer]]:
    """A node with security on: settings with an identity per duty that do not exist yet, and the superuser."""
    superuser = Login(username="elastic", password=SecretStr(secrets.token_urlsafe(24)))
    container = (
        ElasticSearchContainer(ELASTICSEARCH_IMAGE, mem_limit="2g")
        .with_env("discovery.type", "single-node")
        .with_env("xpack.security.enabled", "true")
        .with_env("xpack.security.http.ssl.enabled", "false")
        .with_env("ELASTIC_PASSWORD", superuser.password.get_secret_value())
        .with_env("ES_JAVA_OPTS", "-Xms512m -Xmx512m")
        .waiting_for(_healthy(superuser))
    )
    with container:
        url = f"http://127.0.0.1:{container.get_exposed_port(container.port)}"
        logins = {duty: _login(duty) for duty in ROLES}
        settings = ElasticsearchSettings(url=url, request_timeout_s=10, **logins)
        yield settings, superuser, container


def _login(duty: str) -> Login:
    return Login(username=f"skytrail_{duty}", password=SecretStr(secrets.token_urlsafe(24)))


def _healthy(superuser: Login) -> HttpWaitStrategy:
    strategy = HttpWaitStrategy(9200, "/_cluster/health?wait_for_status=yellow&timeout=5s")
    password = superuser.password.get_secret_value()
    return strategy.with_basic_credentials(superuser.username, password).with_startup_timeout(180)


def _archive(path: str, body: bytes) -> bytes:
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(body), 0o755
            tar.addfile(entry, io.BytesIO(body))
        return buffer.getvalue()
