"""One digest file of CloudTrail.

Format: gzip JSON, what it lists, and the text that is signed:
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html
The signature (hex) is in the metadata ``signature`` of the S3 object. A directory keeps metadata in a sidecar
``<name>.metadata.json``: the answer of ``aws s3api head-object``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

from storage.verify.places import Place

SIDECAR = ".metadata.json"
MOST_INFLATED = 1024**3
_NAME = re.compile(
    r"(?P<account>[0-9]{12})_CloudTrail-Digest_(?P<region>[a-z0-9-]+)_(?P<trail>.+)_(?P<home>[a-z0-9-]+)"
    r"_(?P<end>[0-9]{8}T[0-9]{6}Z)(?P<backfill>_backfill)?\.json\.gz"
)
_PREVIOUS = ("S3Bucket", "S3Object", "HashValue", "HashAlgorithm", "Signature")
_FILE = ("s3Bucket", "s3Object", "hashValue", "hashAlgorithm")


class WrongDigest(ValueError):
    """It is not what a digest must be."""


@dataclass(frozen=True, slots=True, order=True)
class DigestName:
    """What the name of a digest tells.

    Attributes:
        chain: Account, region, trail, home region, whether it is a backfill; and the folder above all of them.
    """

    chain: tuple[str, ...]
    end: dt.datetime
    key: str

    @property
    def backfill(self) -> bool:
        """Whether it belongs to the second chain, of files that were delivered later."""
        return bool(self.chain[-1])


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log file as a digest lists it; `sha256` is hex, of the inflated bytes."""

    bucket: str
    key: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Previous:
    """The digest before, as a digest names it."""

    bucket: str
    key: str
    sha256: str
    signature: str


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest that could be read; whether it is genuine is another question.

    Attributes:
        sha256: Hex, of its own inflated bytes.
        previous: None for the first of a chain.
    """

    name: DigestName
    start: dt.datetime
    end_text: str
    end: dt.datetime
    bucket: str
    key: str
    fingerprint: str
    sha256: str
    previous: Previous | None
    files: tuple[LogFile, ...]

    def signed_text(self) -> bytes:
        """What its signature is over."""
        before = self.previous.signature if self.previous else "null"
        return f"{self.end_text}\n{self.bucket}/{self.key}\n{self.sha256}\n{before}".encode()


def name_of(key: str) -> DigestName | None:
    """What the name of an object tells, None where it is no digest's."""
    folder, _, base = key.rpartition("/")
    match = _NAME.fullmatch(base)
    if match is None:
        return None
    above = folder.partition("CloudTrail-Digest/")[0]
    chain = (above, *match.group("account", "region", "trail", "home"), match["backfill"] or "")
    try:
        return DigestName(chain, dt.datetime.strptime(match["end"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC), key)
    except ValueError:
        return None


def inflate_one(stored: bytes) -> bytes:
    """The content of exactly one gzip member.

    Readers of logs read all members. Were only the first hashed, records behind it would be believed unseen.

    Raises:
        WrongDigest: Damaged, too large, or with bytes behind its end.
    """
    inflater = zlib.decompressobj(wbits=31)
    try:
        content = inflater.decompress(stored, MOST_INFLATED)
    except zlib.error as exc:
        raise WrongDigest(f"not gzip: {exc}") from exc
    if inflater.unconsumed_tail:
        raise WrongDigest("it inflates to more than can be")
    if not inflater.eof:
        raise WrongDigest("the gzip member is cut off")
    if inflater.unused_data:
        raise WrongDigest(f"{len(inflater.unused_data)} bytes behind the end of the gzip member")
    return content


def read_digest(name: DigestName, stored: bytes) -> Digest:
    """Read a digest.

    Raises:
        WrongDigest: It is none, or it lies where it does not belong.
    """
    content = inflate_one(stored)
    try:
        value = json.loads(content)
        digest = _digest(name, value, hashlib.sha256(content).hexdigest())
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise WrongDigest(f"not a digest: {exc!r}") from exc
    if digest.key != name.key and not digest.key.endswith(f"/{name.key}"):
        raise WrongDigest(f"it says it is {digest.key}")
    if digest.end != name.end or digest.start > digest.end:
        raise WrongDigest("its times contradict its name")
    return digest


def metadata_of(place: Place, key: str) -> dict[str, str]:
    """What the store keeps beside a digest; for a copy in a directory from its sidecar.

    Raises:
        OSError: It can't be read.
        WrongDigest: The sidecar is no answer of head-object.
    """
    found = dict(place.metadata(key))
    sidecar = None if found else place.read(key + SIDECAR)
    if sidecar is None:
        return found
    try:
        return {str(name).lower(): str(value) for name, value in json.loads(sidecar)["Metadata"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise WrongDigest(f"the sidecar is no answer of head-object: {exc!r}") from exc


def _digest(name: DigestName, value: dict[str, Any], sha256: str) -> Digest:
    if value["digestSignatureAlgorithm"] != "SHA256withRSA":
        raise ValueError(f"signature algorithm {value['digestSignatureAlgorithm']!r}")
    before = {field: value[f"previousDigest{field}"] for field in _PREVIOUS}
    previous = None
    if any(entry is not None for entry in before.values()):
        if before["HashAlgorithm"] != "SHA-256":
            raise ValueError(f"hash algorithm {before['HashAlgorithm']!r}")
        texts = (before[field] for field in ("S3Bucket", "S3Object", "HashValue", "Signature"))
        previous = Previous(*map(_text, texts))
    files = []
    for entry in value["logFiles"]:
        bucket, key, digest, algorithm = (_text(entry[field]) for field in _FILE)
        if algorithm != "SHA-256":
            raise ValueError(f"hash algorithm {algorithm!r}")
        files.append(LogFile(bucket, key, digest))
    return Digest(
        name=name,
        start=_instant(value["digestStartTime"]),
        end_text=value["digestEndTime"],
        end=_instant(value["digestEndTime"]),
        bucket=_text(value["digestS3Bucket"]),
        key=_text(value["digestS3Object"]),
        fingerprint=_text(value["digestPublicKeyFingerprint"]),
        sha256=sha256,
        previous=previous,
        files=tuple(files),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    value.encode()  # of JSON, it may have halves of characters
    if "\0" in value:
        raise ValueError(f"{value!r} is no text")
    return value


def _instant(text: Any) -> dt.datetime:
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)
