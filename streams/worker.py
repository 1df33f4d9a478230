"""Runs one role: the Faust worker, its endpoints, its pulse and its watchdog.

SIGTERM stops pulling, finishes the batch in work, commits and leaves the group. A worker that has lag, commits nothing
and gives no reason ends with exit code 1, so that whoever supervises it starts a new one (Faust consumers are known to
die slowly).
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import faust
import structlog
from faust.exceptions import ConsumerNotStarted
from mode import Service

from ingest.document import PRODUCT_VERSION
from ingest.schema.errors import ConfigError
from streams.health import Check, HealthServer
from streams.progress import Progress
from streams.runtime import Runtime

log = structlog.get_logger("skytrail.worker")

EXIT_STUCK = 1


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
            close: Finishes what the agents have in work and closes their connections.
        """
        super().__init__()
        self._runtime = runtime
        self._app = app
        self._ruleset = ruleset
        self._close = close
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
        """Finish the batch in work within the grace period, then close."""
        try:
            await asyncio.wait_for(self._close(), self._runtime.worker.stop_grace_s)
        except TimeoutError:
            log.warning("stopping with work unfinished; it comes again at the next start")
        await self._health.close()
        await self._runtime.producer.close()

    async def _beat(self) -> None:
        while not self.should_stop:
            progress, telemetry = self._runtime.progress, self._runtime.telemetry
            lag = self._lag()
            progress.looped(lag, assigned=bool(lag))
            for (topic, partition), number in lag.items():
                telemetry.lag.labels(topic, partition).set(number)
            telemetry.commit_age.set(progress.clock() - progress.done_beat)
            await self.sleep(1.0)

    def _lag(self) -> dict[tuple[str, int], int]:
        """Messages beyond the committed offset per assigned partition of ours."""
        consumer: Any = self._app.consumer
        found: dict[tuple[str, int], int] = {}
        try:
            assigned = consumer.assignment()
        except ConsumerNotStarted:
            return found
        for tp in assigned:
            if tp.topic.startswith("skytrail."):
                end = consumer.highwater(tp) or 0
                found[tp.topic, tp.partition] = max(0, end - (consumer._committed_offset.get(tp) or 0))  # noqa: SLF001
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
    """Run until a signal or a failure; exits with 0, or 1 when an agent or the consumer crashed."""
    watch(runtime.progress, runtime.worker.watchdog_s)
    worker = faust.Worker(
        app, pulse, loglevel="WARNING", console_port=0, redirect_stdouts=False, quiet=True, stdout=sys.stderr
    )
    worker.execute_from_commandline()
