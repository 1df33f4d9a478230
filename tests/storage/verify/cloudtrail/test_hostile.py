"""A trail that somebody made up to break the verifier is told of; it ends nothing and reads nothing else."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from storage.verify.cloudtrail.keys import read_keys
from storage.verify.cloudtrail.trail import Trail
from storage.verify.findings import Finding, Kind, Summary
from storage.verify.places import place_at
from storage.verify.scope import Scope
from tests.storage.verify.cloudtrail import samples
from tests.storage.verify.cloudtrail.samples import BUCKET, HOUR, START, Digested, MadeTrail, a_trail, iso, key_list


def check(root: Path, made: MadeTrail) -> list[Finding]:
    keys = root / "keys.json"
    keys.write_text(json.dumps(key_list()))
    place = place_at(str(made.write(root / "copy")))
    return list(Trail(place, read_keys([keys]), Scope(jobs=2), START + 5 * HOUR, Summary()).check())


def with_last(**changes: Any) -> tuple[MadeTrail, str]:
    """A trail, and its newest digest, of which fields are replaced; it has an earlier digest's signature."""
    made = a_trail(4, backfill=False)
    last = made.digests[-1]
    sha256 = hashlib.sha256(gzip.decompress(made.objects[last])).hexdigest()
    signature = made.metadata[last]["signature"]
    newest = made.add_digest(START + 5 * HOUR, Digested(last, START + 4 * HOUR, sha256, signature), [])
    value = json.loads(gzip.decompress(made.objects[newest.key])) | changes
    made.objects[newest.key] = gzip.compress(json.dumps(value).encode())
    return made, newest.key


def listed(key: str) -> list[dict[str, str]]:
    return [{"s3Bucket": BUCKET, "s3Object": key, "hashValue": "00", "hashAlgorithm": "SHA-256"}]


@pytest.mark.parametrize(
    "changes",
    [
        {"digestS3Bucket": "\ud800"},
        {"digestPublicKeyFingerprint": "\udfff"},
        {"previousDigestSignature": "\ud800"},
        {"previousDigestS3Object": "a\0b"},
        {"logFiles": listed("a\ud800b")},
        {"logFiles": listed("a\0b")},
        {"logFiles": True},
        {"logFiles": [7]},
        {"digestStartTime": 5},
        {"digestStartTime": iso(START + 9 * HOUR)},
        {"digestSignatureAlgorithm": "SHA1withRSA"},
        {"digestSignatureAlgorithm": "none"},
        {"previousDigestHashValue": None},
        {"previousDigestHashAlgorithm": "MD5"},
    ],
)
def test_what_is_no_digest_is_told_and_ends_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    made, newest = with_last(**changes)
    assert [(finding.kind, finding.key) for finding in check(tmp_path, made)] == [(Kind.ALTERED, newest)]


def test_times_of_long_ago_are_a_hole_and_a_wrong_signature(tmp_path: Path) -> None:
    made, newest = with_last(digestStartTime="0001-01-01T00:00:00Z")
    assert {finding.kind for finding in check(tmp_path, made) if finding.key == newest} == {
        Kind.GAP,
        Kind.SIG,
    }


@pytest.mark.parametrize("key", ["/etc/hostname", "../outside.json.gz", "AWSLogs/../../outside.json.gz", "./x"])
def test_a_digest_that_nobody_signed_makes_no_file_outside_of_the_copy_be_read(tmp_path: Path, key: str) -> None:
    (tmp_path / "outside.json.gz").write_bytes(gzip.compress(b"{}"))
    made, newest = with_last(logFiles=listed(key))
    del made.metadata[newest]
    found = {(finding.key, finding.kind): finding.detail for finding in check(tmp_path, made)}
    assert found[key, Kind.ALTERED].startswith("no log file, listed by")


def test_a_sidecar_of_many_brackets_is_told_and_ends_nothing(tmp_path: Path) -> None:
    made = a_trail(backfill=False)
    copy = made.write(tmp_path / "copy")
    deep = copy / f"{made.digests[2]}.metadata.json"
    deep.write_text("[" * 200_000)
    del made.metadata[made.digests[2]]
    assert (Kind.ALTERED, made.digests[2]) in {(finding.kind, finding.key) for finding in check(tmp_path, made)}


def test_the_prefix_of_a_trail_may_be_called_as_its_folder_of_log_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "ROOT", f"CloudTrail/{samples.ROOT}")
    made = a_trail()
    assert check(tmp_path, made) == []
    extra = made.add_log(START, 777)
    assert [(finding.kind, finding.key) for finding in check(tmp_path, made)] == [(Kind.INSERTED, extra)]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"PublicKeyList": [key_list()["PublicKeyList"][0] | {"ValidityStartTime": 1e300}]}),
        json.dumps({"PublicKeyList": [key_list()["PublicKeyList"][0] | {"ValidityEndTime": None}]}),
        '{"PublicKeyList":' + "[" * 200_000,
    ],
)
def test_a_list_of_keys_that_makes_no_sense_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    with pytest.raises(ValueError, match="holds no public key"):
        read_keys([tmp_path / "keys.json"])
