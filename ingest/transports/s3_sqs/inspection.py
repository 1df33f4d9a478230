"""A look at the queue's address before a collector starts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.transports.contract import Finding
from ingest.transports.s3_sqs.settings import S3SqsSettings

_URL = re.compile(r"https?://[\w.:-]+/\d{12}/[\w-]{1,80}(\.fifo)?")


def inspect(settings: S3SqsSettings) -> Iterator[Finding]:
    """Whether the address is one of a queue."""
    if not _URL.fullmatch(settings.queue_url):
        mend = "set queue_url to https://sqs.<region>.amazonaws.com/<account>/<name>, with the account's 12 digits"
        yield Finding("fail", f"{settings.queue_url} is no address of a queue", mend)
    elif "<" in settings.role_arn:
        yield Finding("fail", f"{settings.role_arn} is no role", "put the account's 12 digits into role_arn")
    else:
        yield Finding("ok", f"objects that {settings.queue_url} announces")
