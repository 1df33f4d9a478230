"""Turns what the bulk writer tells into metrics, log lines and beats for the watchdog."""

from __future__ import annotations

from ingest.schema.errors import IndexUnavailable
from streams.runtime import Runtime


class BulkObserver:
    """Listens to a writer on behalf of a worker."""

    def __init__(self, runtime: Runtime) -> None:
        """Report to this worker."""
        self._runtime = runtime

    def sent(self, documents: int, size: int, seconds: float) -> None:
        """A bulk request was answered."""
        self._runtime.telemetry.bulk_seconds.observe(seconds)
        self._runtime.telemetry.bulk_documents.inc(documents)
        self._runtime.telemetry.bulk_bytes.inc(size)

    def retrying(self, cause: str, documents: int, pause_s: float) -> None:
        """Documents wait: the reason is stated, so the watchdog does not take it for a dead worker."""
        self._runtime.waiting(f"Elasticsearch is {cause}: {documents} documents go again in {pause_s:.1f} s")

    def alarm(self, error: IndexUnavailable) -> None:
        """A person is needed."""
        self._runtime.waiting(f"Elasticsearch: {error}")
