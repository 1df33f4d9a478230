"""Tells the watch over sources that a collector was taken out of service: its silence is no alert from then on."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

import msgspec

from detectors.source_watch.state import Retired, milliseconds
from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings
from streams.produce import Producer
from streams.source_watch import Saved
from streams.topic_admin import ensure_topics
from streams.topics import SOURCE_WATCH, Topic

_TIMEOUT_S = 60.0


def retirement(collector: str, at: dt.datetime) -> tuple[bytes, bytes]:
    """Key and value for the watch's memory; the watch itself never writes under this key."""
    saved = Saved(retired=Retired(collector=collector, at=milliseconds(at)))
    return f"retired|{collector}".encode(), msgspec.msgpack.encode(saved)


async def tell_retired(kafka: KafkaSettings, collector: str, at: dt.datetime, on_wait: Callable[[str], None]) -> None:
    """Put it into the watch's memory; telling again changes nothing.

    Args:
        kafka: How to reach it.
        collector: Its name.
        at: When it was closed.
        on_wait: Told in words why this waits.

    Raises:
        BrokerUnavailable: Kafka does not take it within a minute.
    """
    key, value = retirement(collector, at)
    producer = Producer(kafka, on_wait)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await ensure_topics(kafka, [Topic(SOURCE_WATCH, compacted=True, retention_ms=-1)])
            await producer.send(SOURCE_WATCH, [(key, value, None)])
    except TimeoutError as exc:
        raise BrokerUnavailable(
            f"telling the watch over sources: no answer within {_TIMEOUT_S:.0f} s", where=kafka.bootstrap_servers
        ) from exc
    finally:
        await producer.close()
