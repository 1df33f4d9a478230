"""Proves a container of Blob Storage that is listed. Nothing is changed."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Iterable

from ingest.transports.azure_blob.container import Container, Listed
from ingest.transports.azure_blob.settings import AzureBlobSettings
from skytrail.diagnosis.check import Check
from skytrail.onboarding.proving import Asked, Plan, ProofStep

_FIRST_S = 5400.0  # a diagnostic setting may need 90 minutes for its first blob, says Microsoft


@contextlib.asynccontextmanager
async def open_plan(asked: Asked) -> AsyncIterator[Plan]:
    """The steps for a collector of the transport azure_blob."""
    own = asked.settings.own
    assert isinstance(own, AzureBlobSettings)
    container = Container(own)
    proof = _ContainerProof(container, asked)
    steps = [ProofStep("container", proof.look), ProofStep("blobs", proof.read, ("container",))]
    try:
        yield Plan(steps, _FIRST_S + own.poll_interval_s)
    finally:
        await container.close()


class _ContainerProof:
    """What lies in the container."""

    def __init__(self, container: Container, asked: Asked) -> None:
        self._container = container
        self._asked = asked
        self._newest: Listed | None = None

    async def look(self) -> Iterable[Check]:
        """Whether it can be listed, and how old its newest blob is (of the first page, which the service chooses)."""
        name = "container"
        async with contextlib.aclosing(self._container.pages()) as pages:
            page: list[Listed] = await anext(pages, [])
        if not page:
            mend = "does a diagnostic setting archive to this account? Correct prefix if blobs should be there"
            return [Check(name, "warn", f"{self._container.where} can be listed and is empty", mend)]
        self._newest = max((blob for blob in page if blob.size), key=lambda blob: blob.modified, default=None)
        written = dt.datetime.fromtimestamp(max(blob.modified for blob in page), dt.UTC)
        told = f"{self._container.where} can be listed; the newest blob is of {written:%F %H:%M} UTC"
        return [Check(name, "ok", told)]

    async def read(self) -> Iterable[Check]:
        """Whether a blob can be read."""
        if self._newest is None:
            return [Check("blobs", "skipped", "there is none that could be read")]
        if await self._container.read(self._newest, 0, 1024) is None:
            return [Check("blobs", "warn", f"{self._newest.locator} vanished while it was read", "ask again")]
        return [Check("blobs", "ok", f"{self._newest.locator} can be read")]
