"""Runs one role: the Faust worker, its endpoints, its pulse and its watchdog.

SIGTERM stops pulling, finishes the batch in work, commits and leaves the group: exit code 0. A worker that Kafka's
absence ended starts again in place (`streams/revival.py`). One that has lag, commits nothing and gives no reason, or
that crashed for another reason, ends with exit code 1, so that whoever supervises it starts a new one (Faust consumers
are known to die slowly).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted
from faust.types import TP
from mode import Service

from ingest.document import PRODUCT_VERSION
from ingest.schema.errors import ConfigError
from streams.health import Check, HealthServer
from streams.progress import Progress
from streams.revival import broker_reason, restart_in_place
from streams.runtime import Runtime

log = structlog.get_logger("skytrail.worker")

EXIT_STUCK = 1
CLOSE_S = 5.0
STARTS_S = 1.0


async def always_ready() -> str:
    """For roles that need nothing beyond Kafka."""
    return ""


class Pulse(Service):
    """Beats once a second: lag, assignment, metrics; starts the endpoints and closes what the role opened."""

    def __init__(
        self,
        runtime: Runtime,
        app: faust.App,
        *,
        ready: Check,
        ruleset: str,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        """Beat for this app.

        Args:
            close: Closes the agents' connections; called when nothing is in work any more.
        """
        super().__init__()
        self._runtime = runtime
        self._app = app
        self._ruleset = ruleset
        self._close = close
        self._starts: dict[tuple[str, int], int] = {}
        app.on_before_shutdown.connect(self._work_ended, weak=False)
        self._health = HealthServer(
            runtime.progress,
            runtime.telemetry,
            ready=ready,
            version={"version": PRODUCT_VERSION, "role": runtime.role, "ruleset": ruleset},
            stuck_after_s=runtime.worker.watchdog_s,
        )

    async def on_start(self) -> None:
        """Open the endpoints."""
        settings = self._runtime.worker
        wanted = settings.metrics_port.get(self._runtime.role, 0)
        try:
            port = await self._health.start(settings.metrics_host, wanted)
        except OSError as exc:
            raise ConfigError(
                f"opening metrics endpoint: {exc}",
                where=f"{settings.metrics_host}:{wanted}",
                mend=f"set worker.metrics_port.{self._runtime.role} to a free port, or 0",
            ) from exc
        self._runtime.telemetry.build.labels(PRODUCT_VERSION, self._ruleset).set(1)
        log.info("worker started", role=self._runtime.role, endpoints=f"http://{settings.metrics_host}:{port}")
        self.add_future(self._beat())

    async def on_stop(self) -> None:
        """Close the endpoints. Services stop in the reverse order of their start: the app works on for a while."""
        await self._health.close()

    async def _work_ended(self, *_: Any, **__: Any) -> None:
        """The agents have finished, or their grace is over: close what they wrote to."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._close()
                await self._runtime.producer.close()
        except TimeoutError:
            log.warning("closing connections took too long; they end with the process")

    async def _beat(self) -> None:
        while not self.should_stop:
            progress, telemetry = self._runtime.progress, self._runtime.telemetry
            lag = self._lag()
            progress.looped(lag, assigned=bool(lag))
            for (topic, partition), number in lag.items():
                telemetry.lag.labels(topic, partition).set(number)
            idle_s = progress.clock() - progress.done_beat
            telemetry.commit_age.set(idle_s)
            if idle_s > self._runtime.worker.watchdog_s / 3 and any(lag.values()):
                await self._learn_starts([place for place, number in lag.items() if number])
            await self.sleep(1.0)

    async def _learn_starts(self, lagging: Sequence[tuple[str, int]]) -> None:
        """Where partitions begin: what the brokers have deleted by age is no lag, and nobody will ever commit it."""
        consumer: Any = self._app.consumer
        try:
            async with asyncio.timeout(STARTS_S):
                found = await consumer.earliest_offsets(*(TP(*place) for place in lagging))
        except (KafkaError, ConsumerNotStarted, TimeoutError):
            return  # asked again a second later, as long as it matters
        self._starts.update({(tp.topic, tp.partition): offset for tp, offset in found.items()})

    def _lag(self) -> dict[tuple[str, int], int]:
        """Messages beyond the committed offset, as far as they still exist, per assigned partition of ours."""
        consumer: Any = self._app.consumer
        found: dict[tuple[str, int], int] = {}
        try:
            assigned = consumer.assignment()
        except ConsumerNotStarted:
            return found
        for tp in assigned:
            if tp.topic.startswith("skytrail."):
                place, end = (tp.topic, tp.partition), consumer.highwater(tp) or 0
                done = max(consumer._committed_offset.get(tp) or 0, self._starts.get(place, 0))  # noqa: SLF001
                found[place] = max(0, end - done)
        return found


def watch(progress: Progress, limit_s: float) -> threading.Thread:
    """Start the watchdog: a thread, so that it also sees an event loop that stands still."""

    def loop() -> None:
        while True:
            time.sleep(min(5.0, limit_s / 4))
            if reason := progress.stuck(limit_s):
                log.critical(
                    "watchdog ends this worker", reason=reason, mend="it must be started again by its supervisor"
                )
                sys.stderr.flush()
                os._exit(EXIT_STUCK)

    thread = threading.Thread(target=loop, name="skytrail-watchdog", daemon=True)
    thread.start()
    return thread


def run(runtime: Runtime, app: faust.App, pulse: Pulse) -> NoReturn:
    """Run until a signal or a failure; exits with 0, or 1 when an agent or the consumer crashed.

    Raises:
        ConfigError: The brokers went away and came back refusing our credentials.
    """
    watch(runtime.progress, runtime.worker.watchdog_s)
    worker = faust.Worker(
        app, pulse, loglevel="WARNING", console_port=0, redirect_stdouts=False, quiet=True, stdout=sys.stderr
    )
    worker.spinner = None  # it writes terminal codes into the log

    def end(error: BaseException) -> None:
        pulse.add_future(app.crash(error))

    runtime.on_failure = end
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        reason = broker_reason(worker.crash_reason or ended) if ended.code else ""
        if not reason:
            raise
    runtime.progress.retired = True
    signal.signal(signal.SIGTERM, stop_at_once)
    restart_in_place(runtime.kafka, reason)


def stop_at_once(*_: object) -> NoReturn:
    """Signal handler for times when nothing is in work."""
    sys.exit(0)
