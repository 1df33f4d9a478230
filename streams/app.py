"""Builds the Faust app of a role. The only place that knows Faust's settings; no `if` deeper than choosing parts.

What is set here and why: `docs/adr/0002-faust-pattern.md`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import faust
import structlog
from mode import CrashingSupervisor

from ingest.kafka_client import client_options
from ingest.settings import KafkaSettings
from streams.rules_awaited import Abandoned
from streams.settings import WorkerSettings

log = structlog.get_logger("skytrail.worker")

METADATA_MAX_AGE_MS = 15_000
"""A broker that just started answers before it knows its topics; who joins then gets no partitions and hears of them
with the next look at the metadata: after five minutes where nothing is set. New partitions are seen as soon, too."""

Batch = Sequence[faust.EventT[bytes]]
Handler = Callable[[Batch], Awaitable[None]]


class StoppingApp(faust.App):
    """A Faust app that stops in time.

    Faust waits for every batch in work before it stops, for ever where Elasticsearch or the archive is away. After the
    grace nothing is acknowledged that is not done: it comes again at the next start.
    """

    stop_grace_s: float = 30.0
    on_revoking: Sequence[Callable[[], None]] = ()
    """Called before partitions are given away: what only waits shall not keep the group waiting."""

    async def _consumer_wait_empty(self, consumer: Any, logger: Any) -> None:
        for hurry in self.on_revoking:
            hurry()
        if not self.should_stop:  # a rebalance: whoever gets the partitions would do the same work twice
            await super()._consumer_wait_empty(consumer, logger)
            return
        # Not `wait_for`: Faust swallows the cancellation while it waits. The task ends when the consumer stops.
        waiting = self.add_future(super()._consumer_wait_empty(consumer, logger))
        done, _ = await asyncio.wait({waiting}, timeout=self.stop_grace_s)
        if not done:
            log.warning("stopping with work unfinished; it comes again at the next start", grace_s=self.stop_grace_s)


def build_app(role: str, kafka: KafkaSettings, worker: WorkerSettings, *, buffer: int, data_dir: Path) -> StoppingApp:
    """An app of its own consumer group `skytrail-<role>`.

    Args:
        buffer: Envelopes held per stream; a message is up to 1 MiB, so keep it small.
        data_dir: Where Faust may keep files; we give it none to keep, but it makes the directory.
    """
    app = StoppingApp(
        f"skytrail-{role}",
        broker=[f"kafka://{host.strip()}" for host in kafka.bootstrap_servers.split(",")],
        broker_credentials=_credentials(kafka),
        store="memory://",
        datadir=str(data_dir / f"faust-{role}"),
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        agent_supervisor=CrashingSupervisor,
        stream_buffer_maxsize=buffer,
        stream_wait_empty=True,
        broker_session_timeout=worker.session_timeout_s,
        broker_heartbeat_interval=worker.session_timeout_s / 10,
        broker_commit_interval=1.0,
        broker_max_poll_interval=600,
        consumer_max_fetch_size=kafka.max_message_bytes,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        table_standby_replicas=0,
        worker_redirect_stdouts=False,
        producer_compression_type="zstd",
    )
    app.stop_grace_s = worker.stop_grace_s
    return app


def _credentials(kafka: KafkaSettings) -> Any:
    options = client_options(kafka)
    if "sasl_mechanism" in options:
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=options["ssl_context"],
        )
    return faust.SSLCredentials(context=options["ssl_context"]) if options["ssl_context"] else None


def attach(app: faust.App, name: str, topics: Sequence[str], handler: Handler, *, size: int, wait_s: float) -> None:
    """Run `handler` on batches of messages of these topics.

    The handler acknowledges every event of its batch, in order, once nothing of it can be lost; it never raises for bad
    data. An exception ends the worker: nothing is acknowledged and the batch comes again.
    """
    channel = app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def agent(stream: Any) -> None:
        async for batch in stream.noack().noack_take(size, within=wait_s):
            try:
                await handler(batch)
            except Abandoned:  # Faust waits for what is unacknowledged before it gives the partitions away
                app.consumer.unacked.difference_update(event.message for event in batch)

    app.agent(channel, name=name, concurrency=1)(agent)
