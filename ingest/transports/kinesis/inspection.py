"""A look at the names before a collector starts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.transports.contract import Finding
from ingest.transports.kinesis.settings import KinesisSettings

_STREAM = re.compile(r"(arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d{12}:stream/)?[A-Za-z0-9_.-]{1,128}")


def inspect(settings: KinesisSettings) -> Iterator[Finding]:
    """Whether stream and role can be names."""
    if not _STREAM.fullmatch(settings.stream):
        mend = (
            "set stream to its name, or arn:aws:kinesis:<region>:<account>:stream/<name> with the account's 12 digits"
        )
        yield Finding("fail", f"{settings.stream} is no stream", mend)
    elif "<" in settings.role_arn:
        yield Finding("fail", f"{settings.role_arn} is no role", "put the role's ARN into role_arn")
    else:
        yield Finding("ok", f"reads the stream {settings.stream}")
