"""What `skytrail doctor` asks the brokers: do they answer us, how large may a message be, who works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError

from ingest.kafka_client import client_options
from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings

KNOCK_TIMEOUT_S = 5.0
ADMIN_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """One broker of the cluster, as it tells clients to reach it.

    Attributes:
        request_max_bytes: Largest request it takes; 0 where it does not say.
        message_max_bytes: Largest message where a topic says nothing else; 0 where it does not say.
    """

    address: str
    request_max_bytes: int
    message_max_bytes: int


async def knock(kafka: KafkaSettings, addresses: Sequence[str]) -> None:
    """Connect to each of these brokers and prove who we are.

    Raises:
        BrokerUnavailable: The first that does not answer or refuses us, with the reason; an ordinary client hides it.
    """
    options = client_options(kafka)
    options.pop("bootstrap_servers")
    for address in addresses:
        host, _, port = address.strip().rpartition(":")
        try:
            async with asyncio.timeout(KNOCK_TIMEOUT_S):
                connection = await create_conn(
                    host.strip("[]"), int(port), request_timeout_ms=int(KNOCK_TIMEOUT_S * 1000), **options
                )
            connection.close()
        except ValueError as exc:
            raise BrokerUnavailable(
                f"reaching broker: {address!r} is not host:port",
                where="kafka.bootstrap_servers",
                mend="name brokers as host:port, separated by commas",
            ) from exc
        except (KafkaError, OSError, TimeoutError) as exc:
            raise BrokerUnavailable(
                f"reaching broker: {str(exc) or type(exc).__name__}", where=address, mend=_mend(exc)
            ) from exc


async def brokers(kafka: KafkaSettings) -> list[BrokerFacts]:
    """The brokers of the cluster and their limits.

    Raises:
        BrokerUnavailable: The cluster does not answer our requests.
    """
    async with _admin(kafka, "describing the cluster") as admin:
        found = []
        for node in (await admin.describe_cluster())["brokers"]:
            limits: dict[str, str] = {}
            resource = ConfigResource(ConfigResourceType.BROKER, str(node["node_id"]))
            for response in await admin.describe_configs([resource]):
                for answer in response.resources:
                    limits |= {entry[0]: entry[1] for entry in answer[4] if entry[1]}
            found.append(
                BrokerFacts(
                    f"{node['host']}:{node['port']}",
                    int(limits.get("socket.request.max.bytes", 0)),
                    int(limits.get("message.max.bytes", 0)),
                )
            )
        return found


async def workers(kafka: KafkaSettings, roles: Sequence[str]) -> dict[str, int]:
    """How many workers of each role are in their consumer group now.

    Raises:
        BrokerUnavailable: The cluster does not answer our requests.
    """
    groups = {f"skytrail-{role}": role for role in roles}
    described = await asyncio.to_thread(_groups, kafka, list(groups))
    return {role: len(described.get(group, {}).get("members", ())) for group, role in groups.items()}


def _groups(kafka: KafkaSettings, groups: Sequence[str]) -> dict[str, Any]:
    """Consumer groups by name; with the other client, because aiokafka 0.14 can't decode groups that have members."""
    from kafka import KafkaAdminClient  # noqa: PLC0415 - slow to import, and only this question needs it
    from kafka.errors import KafkaError as ClientError  # noqa: PLC0415 - same

    options = {**client_options(kafka), "bootstrap_servers": kafka.bootstrap_servers.split(",")}
    limit_ms = int(ADMIN_TIMEOUT_S * 1000)
    try:
        client = KafkaAdminClient(**options, request_timeout_ms=limit_ms, bootstrap_timeout_ms=limit_ms)
        try:
            found: dict[str, Any] = client.describe_groups(list(groups))
        finally:
            client.close()
    except (ClientError, OSError) as exc:
        raise BrokerUnavailable(
            f"describing the consumer groups: {str(exc) or type(exc).__name__}", where=kafka.bootstrap_servers
        ) from exc
    return found


@asynccontextmanager
async def _admin(kafka: KafkaSettings, doing: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(kafka), request_timeout_ms=int(ADMIN_TIMEOUT_S * 1000))
    try:
        async with asyncio.timeout(ADMIN_TIMEOUT_S):
            await admin.start()
            yield admin
    except (KafkaError, OSError, TimeoutError) as exc:
        raise BrokerUnavailable(
            f"{doing}: {str(exc) or type(exc).__name__}", where=kafka.bootstrap_servers, mend=_mend(exc)
        ) from exc
    finally:
        await admin.close()


def _mend(exc: BaseException) -> str:
    if isinstance(exc, KafkaError):
        return "correct kafka.username, kafka.password, kafka.sasl_mechanism or kafka.security_protocol"
    if isinstance(exc, TimeoutError):
        return "a broker that accepts connections and does not answer: is kafka.security_protocol that of its listener?"
    return "start the brokers (`skytrail up`), or correct kafka.bootstrap_servers"
