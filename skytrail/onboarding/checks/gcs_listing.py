"""Proves a bucket of Cloud Storage that is listed. Nothing is changed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable

from ingest.transports.gcs_listing.bucket import Page, page_of
from ingest.transports.gcs_listing.settings import GcsListingSettings
from ingest.transports.google_cloud.storage import Storage
from skytrail.diagnosis.check import Check
from skytrail.onboarding.google_asking import credentials, read_object
from skytrail.onboarding.proving import Asked, Plan, ProofStep

_FIRST_S = 3900.0  # a log sink writes a file an hour, says Google


@contextlib.asynccontextmanager
async def open_plan(asked: Asked) -> AsyncIterator[Plan]:
    """The steps for a collector of the transport gcs_listing."""
    own = asked.settings.own
    assert isinstance(own, GcsListingSettings)
    storage = Storage(own.credentials_file, own.storage_endpoint, threads=1)
    pages: list[Page] = []

    async def bucket() -> Iterable[Check]:
        pages.append(await page_of(storage, own.bucket, own.prefix, ""))
        where = f"gs://{own.bucket}/{own.prefix}"
        count = len(pages[0].objects)
        if not count:
            mend = "correct prefix if objects should be there; a new sink writes its first file within the hour"
            return [Check("bucket", "warn", f"{where} can be listed and is empty", mend)]
        return [Check("bucket", "ok", f"{where} can be listed: {count}{' or more' if pages[0].next else ''} objects")]

    async def objects() -> Iterable[Check]:
        found = [each.ref for each in pages[0].objects if each.ref.size]
        return [await read_object(storage, found[0])] if found else [Check("objects", "skipped", "there is none")]

    emulator = own.storage_endpoint.startswith("http://")
    steps = [
        ProofStep("credentials", credentials(own.credentials_file, emulator=emulator)),
        ProofStep("bucket", bucket, ("credentials",)),
        ProofStep("objects", objects, ("bucket",)),
    ]
    try:
        yield Plan(steps, _FIRST_S + own.poll_interval_s)
    finally:
        await storage.close()
