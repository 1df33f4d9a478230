"""A trail as CloudTrail delivers it: log files, hourly digests signed with a key made here, a backfill chain."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

START = dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
BUCKET = "trail-bucket"
ACCOUNT = "123456789012"
REGION = "us-east-1"
FINGERPRINT = "ab" * 16
ROOT = f"AWSLogs/{ACCOUNT}/"


@functools.cache
def signing_key(name: str) -> rsa.RSAPrivateKey:
    """One key per name, made once per test run."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_list(start: dt.datetime = START - 30 * 24 * HOUR, end: dt.datetime = START + 30 * 24 * HOUR) -> dict[str, Any]:
    """The answer of ListPublicKeys."""
    der = signing_key("genuine").public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    entry = {
        "Value": base64.b64encode(der).decode(),
        "ValidityStartTime": start.timestamp(),
        "ValidityEndTime": end.timestamp(),
        "Fingerprint": FINGERPRINT,
    }
    return {"PublicKeyList": [entry]}


def iso(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Digested:
    """A digest that was made: where it lies, its hash and signature."""

    key: str
    end: dt.datetime
    sha256: str
    signature: str


@dataclass
class MadeTrail:
    """The objects of a bucket and their metadata; `digests` and `logs` in the order in which they were made."""

    objects: dict[str, bytes] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)

    def add_log(self, time: dt.datetime, number: int, records: int = 3) -> str:
        """A log file, delivered at a time."""
        content = json.dumps({"Records": [{"eventID": f"{number}-{i}"} for i in range(records)]}).encode()
        day = time.strftime("%Y/%m/%d")
        key = f"{ROOT}CloudTrail/{REGION}/{day}/{ACCOUNT}_CloudTrail_{REGION}_{time:%Y%m%dT%H%MZ}_{number:016d}.json.gz"
        self.objects[key] = gzip.compress(content, mtime=0)
        self.logs.append(key)
        return key

    def add_digest(
        self,
        end: dt.datetime,
        previous: Digested | None,
        logs: list[str],
        *,
        signer: str = "genuine",
        backfill: bool = False,
        **changes: Any,
    ) -> Digested:
        """A digest of the hour before `end`; `changes` replace fields of it."""
        name = f"{ACCOUNT}_CloudTrail-Digest_{REGION}_t1_{REGION}_{end:%Y%m%dT%H%M%SZ}{'_backfill' * backfill}.json.gz"
        key = f"{ROOT}CloudTrail-Digest/{REGION}/{end:%Y/%m/%d}/{name}"
        value = {
            "awsAccountId": ACCOUNT,
            "digestStartTime": iso(end - HOUR),
            "digestEndTime": iso(end),
            "digestS3Bucket": BUCKET,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": FINGERPRINT,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": iso(end),
            "oldestEventTime": iso(end - HOUR),
            "previousDigestS3Bucket": BUCKET if previous else None,
            "previousDigestS3Object": previous.key if previous else None,
            "previousDigestHashValue": previous.sha256 if previous else None,
            "previousDigestHashAlgorithm": "SHA-256" if previous else None,
            "previousDigestSignature": previous.signature if previous else None,
            "logFiles": [self._listed(log, end) for log in logs],
        } | changes
        content = json.dumps(value).encode()
        sha256 = hashlib.sha256(content).hexdigest()
        before = value["previousDigestSignature"] or "null"
        text = f"{value['digestEndTime']}\n{BUCKET}/{key}\n{sha256}\n{before}"
        signature = signing_key(signer).sign(text.encode(), padding.PKCS1v15(), SHA256()).hex()
        self.objects[key] = gzip.compress(content, mtime=0)
        self.metadata[key] = {"signature": signature, "signature-algorithm": "SHA256withRSA"}
        if backfill:
            self.metadata[key]["backfill-generation-timestamp"] = iso(end + 2 * HOUR)
        self.digests.append(key)
        return Digested(key, end, sha256, signature)

    def _listed(self, key: str, end: dt.datetime) -> dict[str, str]:
        return {
            "s3Bucket": BUCKET,
            "s3Object": key,
            "hashValue": hashlib.sha256(gzip.decompress(self.objects[key])).hexdigest(),
            "hashAlgorithm": "SHA-256",
            "newestEventTime": iso(end),
            "oldestEventTime": iso(end - HOUR),
        }

    def write(self, root: Path, *, sidecars: bool = True) -> Path:
        """The bucket as a directory, with the answers of head-object beside the digests."""
        for key, body in self.objects.items():
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            (root / key).write_bytes(body)
        for key, metadata in self.metadata.items() if sidecars else ():
            if key in self.objects:
                answer: Mapping[str, Any] = {"ContentType": "application/json", "Metadata": metadata}
                (root / f"{key}.metadata.json").write_text(json.dumps(answer))
        return root


def a_trail(hours: int = 5, logs_each: int = 2, *, backfill: bool = True) -> MadeTrail:
    """Hourly digests from `START` on; the second hour has no log file."""
    made = MadeTrail()
    previous: Digested | None = None
    for hour in range(hours):
        begin = START + hour * HOUR
        count = 0 if hour == 1 else logs_each
        logs = [made.add_log(begin + dt.timedelta(minutes=7 + 5 * i), hour * 10 + i) for i in range(count)]
        previous = made.add_digest(begin + HOUR, previous, logs)
    if backfill:
        first: Digested | None = None
        for hour in range(2):
            late = made.add_log(START - (9 - hour) * HOUR, 900 + hour)
            first = made.add_digest(START - (8 - hour) * HOUR, first, [late], backfill=True)
    return made


def regular(made: MadeTrail) -> list[str]:
    """Keys of the digests of the main chain."""
    return [key for key in made.digests if "_backfill" not in key]
