"""Proves objects of S3 that are there already: who we are, and that the first file below the prefix can be read."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable

from ingest.transports.s3_listing.settings import S3ListingSettings
from skytrail.diagnosis.check import Check
from skytrail.onboarding.aws_asking import calling, credentials, read_one
from skytrail.onboarding.proving import Asked, Plan, ProofStep


@contextlib.asynccontextmanager
async def open_plan(asked: Asked) -> AsyncIterator[Plan]:
    """The steps for a collector of the transport s3_listing."""
    settings = asked.settings.own
    assert isinstance(settings, S3ListingSettings)
    async with calling(settings) as calls:

        async def files() -> Iterable[Check]:
            return [await read_one(calls, settings.bucket, settings.prefix)]

        yield Plan(
            [
                ProofStep("credentials", credentials(calls, settings.role_arn)),
                ProofStep("files", files, ("credentials",)),
            ]
        )
