"""What every proof of a source in AWS asks, and what a refused question means."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

from ingest.schema.errors import SourceRefused
from ingest.transports.aws.advice import code_of
from ingest.transports.aws.calls import AwsCalls
from ingest.transports.aws.settings import AwsSettings
from skytrail.cli.exits import Exit, exit_of
from skytrail.diagnosis.check import Check, Step, failed

_HANDLE_IS_WRONG = {"ReceiptHandleIsInvalid", "InvalidParameterValue", "InvalidAddress"}


@contextlib.asynccontextmanager
async def calling(settings: AwsSettings) -> AsyncIterator[AwsCalls]:
    """Calls as the collector makes them, as the same identity."""
    calls = AwsCalls(settings, threads=2)
    try:
        yield calls
    finally:
        await calls.close()


def credentials(calls: AwsCalls, role_arn: str) -> Step:
    """Whether there are credentials, and whose; a role is taken."""

    async def look() -> Iterable[Check]:
        found: dict[str, Any] = await calls("sts", "get_caller_identity", where=role_arn or "own identity")
        return [Check("credentials", "ok", f"we are {found['Arn']}")]

    return look


def optional(name: str, step: Step) -> Step:
    """A step that asks what a collector need not know: it is skipped where we may not ask."""

    async def look() -> Iterable[Check]:
        try:
            return await step()
        except SourceRefused as exc:
            if exit_of(exc) is not Exit.DENIED:
                raise
            return [failed(name, exc, "skipped")]

    return look


async def may_settle(calls: AwsCalls, queue_url: str) -> None:
    """Whether messages may be deleted and hidden: asked with a handle that is none, so nothing happens.

    Raises:
        SourceRefused: They may not.
        SourceUnavailable: It does not answer.
    """
    wrong: dict[str, Any] = {"QueueUrl": queue_url, "ReceiptHandle": "none"}
    hide = {**wrong, "VisibilityTimeout": 0}
    for operation, parameters in (("change_message_visibility", hide), ("delete_message", wrong)):
        try:
            await calls("sqs", operation, where=queue_url, **parameters)
        except SourceRefused as exc:
            if not (isinstance(exc.__cause__, Exception) and code_of(exc.__cause__) in _HANDLE_IS_WRONG):
                raise


async def read_one(calls: AwsCalls, bucket: str, prefix: str) -> Check:
    """Whether the files below a prefix can be listed, read and decrypted: one byte of the first is read.

    Raises:
        SourceRefused: One of the three is refused.
        SourceUnavailable: S3 does not answer.
    """
    where = f"{bucket}/{prefix}"
    listed: dict[str, Any] = await calls(
        "s3", "list_objects_v2", where=where, Bucket=bucket, Prefix=prefix, MaxKeys=100
    )
    keys = [each["Key"] for each in listed.get("Contents", ()) if each["Size"]]
    if not keys:
        return Check("files", "skipped", f"there is none below {where} yet", "look again when the source has delivered")
    read: dict[str, Any] = await calls(
        "s3", "get_object", where=f"{bucket}/{keys[0]}", Bucket=bucket, Key=keys[0], Range="bytes=0-0"
    )
    read["Body"].close()
    key = read.get("SSEKMSKeyId")
    encrypted = f"decrypted with {key}" if key else "not encrypted with a key of KMS"
    return Check("files", "ok", f"{bucket}/{keys[0]} can be read, {encrypted}")
