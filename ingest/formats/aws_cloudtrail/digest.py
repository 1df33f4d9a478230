"""Digest files: what CloudTrail signs about the log files it delivered, as documents.

They tell of no call; the chain of digests is verified elsewhere, from the bytes. Elastic's pipeline writes the previous
signature into `file.hash.sha256`, which is no hash of the file: that is not copied.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.aws_cloudtrail.bodies import TERM_BYTES, flattened_of
from ingest.formats.aws_cloudtrail.records import Opened
from ingest.formats.aws_cloudtrail.values import account_of, mapping_of, optional_text, text_of
from ingest.formats.aws_cloudtrail.when import event_time
from ingest.formats.contract import Document

_NAMES = (
    ("digestStartTime", "start_time"),
    ("digestEndTime", "end_time"),
    ("digestS3Bucket", "s3_bucket"),
    ("logFiles", "log_files"),
    ("newestEventTime", "newest_event_time"),
    ("oldestEventTime", "oldest_event_time"),
    ("previousDigestHashAlgorithm", "previous_hash_algorithm"),
    ("previousDigestHashValue", "previous_hash_value"),
    ("previousDigestS3Bucket", "previous_s3_bucket"),
    ("previousDigestS3Object", "previous_s3_object"),
    ("previousDigestSignature", "previous_signature"),
    ("digestPublicKeyFingerprint", "public_key_fingerprint"),
    ("digestSignatureAlgorithm", "signature_algorithm"),
)


def is_digest(event: Mapping[str, Any]) -> bool:
    """Whether it is a digest file: it lists log files and proves them, but tells of no call."""
    return "eventName" not in event and ("digestS3Object" in event or "digestEndTime" in event)


def digest_document(opened: Opened, own_id: str) -> Document:
    """The document of a pruned digest file.

    Raises:
        MalformedRecord: It can't be placed in time.
    """
    event = opened.event
    moment, marks = event_time(opened, "digestEndTime")
    cloud: dict[str, Any] = {"provider": "aws", "service": {"name": "cloudtrail"}}
    account = account_of(event.get("awsAccountId"))
    if account:
        cloud["account"] = {"id": account}
    document: Document = {
        "@timestamp": moment,
        "event": {
            "kind": "event",
            "id": own_id,
            "provider": "cloudtrail.amazonaws.com",
            "action": "AwsCloudTrailDigest",
            "category": ["api"],
            "type": ["info"],
            "outcome": "success",
        },
        "cloud": cloud,
    }
    digest = _fields(event)
    if digest:
        document["aws"] = {"cloudtrail": {"flattened": {"digest": digest}}}
    path = optional_text(event.get("digestS3Object"))
    if path:
        document["file"] = {"path": path}
    hashes = _hashes(event)
    if hashes:
        document["related"] = {"hash": hashes}
    if marks:
        document["skytrail"] = {"time": {"marks": list(marks)}}
    return document


def _hashes(event: Mapping[str, Any]) -> list[str]:
    files = event.get("logFiles")
    values = [mapping_of(file).get("hashValue") for file in (files if isinstance(files, list) else [])]
    values.append(event.get("previousDigestHashValue"))
    return sorted({value for value in values if isinstance(value, str)})


def _fields(event: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a digest file under our names; what a `flattened` field can't take is left out."""
    found: dict[str, Any] = {}
    for name, target in _NAMES:
        value = event.get(name)
        if isinstance(value, list):
            # Each of hundreds of log files is its own set of terms, so each is judged alone.
            items = [flattened_of({target: item}, text_of({target: item})) for item in value]
            listed = [item[target] for item in items if item]
            if listed:
                found[target] = listed
        elif value is not None:
            text = optional_text(value)
            if text and len(text.encode("utf-8", "replace")) < TERM_BYTES - len(target) - 1:
                found[target] = text
    return found
