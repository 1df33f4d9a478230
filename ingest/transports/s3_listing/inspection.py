"""A look at bucket and range before a collector starts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.transports.contract import Finding
from ingest.transports.s3_listing.selection import selection_of
from ingest.transports.s3_listing.settings import S3ListingSettings

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def inspect(settings: S3ListingSettings) -> Iterator[Finding]:
    """Whether it can be a bucket, and whether anything can lie in the range."""
    wanted = selection_of(settings)
    if not _BUCKET.fullmatch(settings.bucket):
        yield Finding("fail", f"{settings.bucket} is no bucket", "set bucket to its name alone, prefix to the rest")
    elif settings.prefix.startswith("/"):
        yield Finding("warn", f"no key begins with {settings.prefix}", "take the first / away, unless yours do")
    elif wanted.since and wanted.until and wanted.since >= wanted.until:
        yield Finding("fail", "nothing lies between since and until", "set until to a later time than since")
    elif "<" in settings.role_arn:
        yield Finding("fail", f"{settings.role_arn} is no role", "put the role's ARN into role_arn")
    else:
        yield Finding("ok", f"reads what lies in {settings.bucket}/{settings.prefix}")
