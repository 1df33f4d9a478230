"""What CloudTrail delivered is checked against its digests; every hole of other validators is a finding."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from moto import mock_aws

from storage.verify import bucket
from storage.verify.cloudtrail.keys import read_keys
from storage.verify.cloudtrail.trail import Trail
from storage.verify.findings import Finding, Grade, Kind, Summary
from storage.verify.places import Place, place_at
from storage.verify.scope import Scope
from tests.storage.verify.cloudtrail.samples import (
    BUCKET,
    HOUR,
    ROOT,
    START,
    Digested,
    MadeTrail,
    a_trail,
    key_list,
    regular,
    signing_key,
)

END = START + 5 * HOUR
NOW = END + dt.timedelta(minutes=50)
Found = list[tuple[Kind, str]]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(key_list()))
    return path


@pytest.fixture(params=["copy", "bucket"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Gives a way to store a trail: as a copy in a directory, or in S3."""
    if request.param == "copy":
        yield lambda made: place_at(str(made.write(tmp_path / "copy")))
        return
    patch = request.getfixturevalue("monkeypatch")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "testing")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        bucket._client.cache_clear()
        yield _upload
    bucket._client.cache_clear()


def _upload(made: MadeTrail) -> Place:
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    for key, body in made.objects.items():
        client.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata=made.metadata.get(key, {}))
    return place_at(f"s3://{BUCKET}")


def check(place: Place, keys: Path, *, now: dt.datetime = NOW, summary: Summary | None = None, **scope: Any) -> Found:
    return [(f.kind, f.key) for f in findings(place, keys, now=now, summary=summary, **scope)]


def findings(
    place: Place, keys: Path, *, now: dt.datetime = NOW, summary: Summary | None = None, **scope: Any
) -> list[Finding]:
    trail = Trail(place, read_keys([keys]), Scope(jobs=2, **scope), now, summary or Summary())
    return list(trail.check())


def test_a_whole_trail_is_clean_and_counted(stored: Any, keys: Path) -> None:
    summary = Summary()
    assert check(stored(a_trail()), keys, summary=summary) == []
    assert (summary.digests, summary.log_files, summary.ok) == (7, 10, True)


# The five holes of `aws cloudtrail validate-logs`.


def test_a_gap_between_digests_fails_and_is_named_as_a_whole(stored: Any, keys: Path) -> None:
    made = a_trail()
    gone = regular(made)[1:4]
    for key in gone:
        del made.objects[key]
    found = [f for f in findings(stored(made), keys) if f.grade is Grade.TAMPERED]
    assert [(f.kind, f.key) for f in found] == [(Kind.MISSING, gone[-1])]
    assert "2026-11-20T09:00:00Z to 2026-11-20T12:00:00Z (3 h)" in found[0].detail


def test_log_files_of_a_gap_are_not_accused_but_vouched_for_by_nobody(stored: Any, keys: Path) -> None:
    made = a_trail()
    del made.objects[regular(made)[2]]
    found = [f for f in findings(stored(made), keys) if f.grade is Grade.INCOMPLETE]
    assert [(f.kind, f.detail) for f in found] == [
        (Kind.UNCHECKED, "2 log files are of times that no believed digest is about")
    ]


def test_a_chain_that_begins_anew_is_a_gap(stored: Any, keys: Path) -> None:
    made = a_trail(2)
    made.add_digest(END, None, [])
    assert check(stored(made), keys) == [(Kind.GAP, made.digests[-1])]


def test_a_place_without_digests_fails(tmp_path: Path, keys: Path) -> None:
    (tmp_path / "copy").mkdir()
    assert [kind for kind, _ in check(place_at(str(tmp_path / "copy")), keys)] == [Kind.MISSING]


@pytest.mark.parametrize("cut", [2, 4])
def test_digests_cut_off_at_the_end_with_their_log_files_are_missed_by_the_clock(
    stored: Any, keys: Path, cut: int
) -> None:
    made = a_trail()
    for key in regular(made)[-cut:]:
        del made.objects[key]
    for key in made.logs:
        if key.rpartition("/")[2].split("_")[3] >= f"{START + (5 - cut) * HOUR:%Y%m%dT%H%MZ}":
            del made.objects[key]
    assert check(stored(made), keys) == [(Kind.TRUNCATED, regular(made)[-cut - 1])]


def test_the_age_of_a_copy_is_judged_as_of_the_time_that_was_asked(stored: Any, keys: Path) -> None:
    place = stored(a_trail())
    later = NOW + dt.timedelta(days=9)
    assert [kind for kind, _ in check(place, keys, now=later)] == [Kind.TRUNCATED]
    assert check(place, keys, now=later, until=NOW) == []


def test_a_digest_that_is_not_the_one_its_successor_names_by_hash_is_altered(stored: Any, keys: Path) -> None:
    made = a_trail(2, backfill=False)
    wrong = Digested(made.digests[-1], START + 2 * HOUR, "00" * 32, made.metadata[made.digests[-1]]["signature"])
    for hour in (3, 4, 5):
        wrong = made.add_digest(START + hour * HOUR, wrong, [])
    assert check(stored(made), keys) == [(Kind.ALTERED, made.digests[1])]


def test_a_digest_whose_signature_is_not_the_one_its_successor_names_is_found(stored: Any, keys: Path) -> None:
    made = a_trail(2, backfill=False)
    signed = made.metadata[made.digests[-1]]["signature"]
    previous = made.add_digest(START + 2 * HOUR, None, [])  # the same place, another chain: genuine, but not linked
    made.digests.pop()
    other = Digested(previous.key, previous.end, previous.sha256, signed)
    made.add_digest(END, other, [], digestStartTime="2026-11-20T10:00:00Z")
    found = check(stored(made), keys)
    assert (Kind.SIG, previous.key) in found


def test_a_log_file_that_no_digest_lists_is_inserted(stored: Any, keys: Path) -> None:
    made = a_trail()
    extra = made.add_log(START + dt.timedelta(minutes=30), 777)
    assert check(stored(made), keys) == [(Kind.INSERTED, extra)]


def test_a_log_file_with_a_name_of_the_future_does_not_wait_for_a_digest_for_ever(stored: Any, keys: Path) -> None:
    """Who reads the bucket takes it today, whatever its name says."""
    made = a_trail()
    extra = made.add_log(NOW + dt.timedelta(days=9000), 777)
    place = stored(made)
    assert check(place, keys) == [(Kind.INSERTED, extra)]
    assert check(place, keys, until=NOW) == [(Kind.INSERTED, extra)]


def test_log_files_of_the_last_minutes_wait_for_the_next_digest(stored: Any, keys: Path) -> None:
    made, summary = a_trail(), Summary()
    for minutes in (-10, 5, 50):
        made.add_log(END + dt.timedelta(minutes=minutes), 800 + minutes)
    assert check(stored(made), keys, summary=summary) == []
    assert (summary.pending, summary.ok) == (3, True)


@pytest.mark.parametrize(("folder", "kind"), [("", Kind.INSERTED), ("US-EAST-1/", Kind.UNCHECKED)])
def test_a_file_among_log_files_that_is_of_no_region_is_told(stored: Any, keys: Path, folder: str, kind: Kind) -> None:
    made = a_trail()
    name = f"{ROOT}CloudTrail/{folder}123456789012_CloudTrail_us-east-1_20261120T0830Z_x.json.gz"
    made.objects[name] = gzip.compress(b'{"Records":[{"eventID":"forged"}]}')
    assert check(stored(made), keys) == [(kind, name if kind is Kind.INSERTED else f"{ROOT}CloudTrail/{folder}")]


@pytest.mark.parametrize("name", ["notes.txt", "CloudTrail-Digest/us-east-1/2026/11/20/digest.json.gz"])
def test_a_foreign_file_among_digests_is_inserted(stored: Any, keys: Path, name: str) -> None:
    made = a_trail()
    folder = regular(made)[0].rpartition("/")[0]
    made.objects[f"{folder}/{name}"] = b"x"
    assert check(stored(made), keys) == [(Kind.INSERTED, f"{folder}/{name}")]


@pytest.mark.parametrize("what", ["log", "digest"])
def test_records_behind_the_first_gzip_member_are_found(stored: Any, keys: Path, what: str) -> None:
    made = a_trail()
    key = made.logs[0] if what == "log" else regular(made)[0]
    made.objects[key] += gzip.compress(b'{"Records":[{"eventID":"smuggled"}]}')
    assert (Kind.ALTERED, key) in check(stored(made), keys)


# Everything else.


def test_an_altered_log_file_is_named(stored: Any, keys: Path) -> None:
    made = a_trail()
    made.objects[made.logs[3]] = gzip.compress(b'{"Records":[]}')
    assert check(stored(made), keys) == [(Kind.ALTERED, made.logs[3])]


def test_a_deleted_log_file_is_named(stored: Any, keys: Path) -> None:
    made = a_trail()
    del made.objects[made.logs[3]]
    assert check(stored(made), keys) == [(Kind.MISSING, made.logs[3])]


def test_a_log_file_of_a_backfill_is_checked_by_the_second_chain(stored: Any, keys: Path) -> None:
    made = a_trail()
    made.objects[made.logs[-1]] = gzip.compress(b'{"Records":[]}')
    assert check(stored(made), keys) == [(Kind.ALTERED, made.logs[-1])]


def test_a_deleted_digest_of_a_backfill_is_missing(stored: Any, keys: Path) -> None:
    made = a_trail()
    (first, _) = (key for key in made.digests if "_backfill" in key)
    del made.objects[first]
    assert (Kind.MISSING, first) in check(stored(made), keys)


def test_a_forged_digest_is_found_and_its_log_files_are_not_believed(stored: Any, keys: Path) -> None:
    made = a_trail(4, backfill=False)
    last = made.digests[-1]
    previous = Digested(last, START + 4 * HOUR, _sha256(made, last), made.metadata[last]["signature"])
    log = made.add_log(START + 4 * HOUR + dt.timedelta(minutes=5), 50)
    forged = made.add_digest(END, previous, [log], signer="forger")
    assert (
        check(stored(made), keys)
        == [(Kind.SIG, forged.key), (Kind.UNCHECKED, forged.key), (Kind.UNCHECKED, log)][:2]
        + [(Kind.UNCHECKED, f"{ROOT}CloudTrail/us-east-1/")] * 0
    )


def test_a_key_that_was_not_valid_then_is_not_believed(stored: Any, tmp_path: Path) -> None:
    pinned = tmp_path / "old.json"
    pinned.write_text(json.dumps(key_list(end=START + 2 * HOUR)))
    found = check(stored(a_trail(backfill=False)), pinned)
    assert {kind for kind, _ in found} == {Kind.SIG, Kind.UNCHECKED}
    assert len([kind for kind, _ in found if kind is Kind.SIG]) == 2  # the ends at +4 h and +5 h; one hour of slack


def test_each_digest_is_believed_by_the_key_that_was_valid_when_keys_are_rotated(stored: Any, tmp_path: Path) -> None:
    made, previous = MadeTrail(), None
    for hour in range(5):
        later: dict[str, Any] = {"signer": "second", "digestPublicKeyFingerprint": "cd" * 16} if hour > 2 else {}
        log = made.add_log(START + hour * HOUR, hour)
        previous = made.add_digest(START + (hour + 1) * HOUR, previous, [log], **later)
    der = signing_key("second").public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    (first,), (second,) = (
        key_list(**validity)["PublicKeyList"] for validity in ({"end": START + 3 * HOUR}, {"start": START + 3 * HOUR})
    )
    second |= {"Value": base64.b64encode(der).decode(), "Fingerprint": "cd" * 16}
    pinned, place = tmp_path / "both.json", stored(made)
    pinned.write_text(json.dumps({"PublicKeyList": [first, second]}))
    assert check(place, pinned) == []
    pinned.write_text(json.dumps({"PublicKeyList": [first]}))
    assert check(place, pinned) == [(Kind.UNCHECKED, key) for key in made.digests[3:]]


def test_a_moved_digest_is_not_believed(stored: Any, keys: Path) -> None:
    made = a_trail()
    key = regular(made)[1]
    moved = key.replace("2026/11/20", "2026/11/21")
    made.objects[moved], made.metadata[moved] = made.objects.pop(key), made.metadata.pop(key)
    assert (Kind.ALTERED, moved) in check(stored(made), keys)


def test_a_chain_that_comes_from_another_bucket_is_incomplete(stored: Any, keys: Path) -> None:
    made = MadeTrail()
    old = Digested(f"{ROOT}CloudTrail-Digest/old", START, "00" * 32, "ab")
    made.add_digest(END, old, [], previousDigestS3Bucket="older-bucket")
    assert check(stored(made), keys) == [(Kind.UNCHECKED, made.digests[0])]


def test_a_range_begins_and_ends_within_a_longer_chain(stored: Any, keys: Path) -> None:
    summary = Summary()
    place = stored(a_trail(backfill=False))
    assert check(place, keys, summary=summary, since=START + 2 * HOUR, until=START + 4 * HOUR) == []
    assert summary.digests == 2


def test_digests_expired_at_the_start_are_missing_unless_a_later_start_is_asked(stored: Any, keys: Path) -> None:
    made = a_trail(backfill=False)
    first = regular(made)[0]
    del made.objects[first]
    for key in made.logs[:2]:
        del made.objects[key]
    place = stored(made)
    assert check(place, keys) == [(Kind.MISSING, first)]
    assert check(place, keys, since=START + HOUR) == []


def test_a_copy_without_metadata_lacks_the_signature_of_the_newest_digest_only(tmp_path: Path, keys: Path) -> None:
    made = a_trail(backfill=False)
    place = place_at(str(made.write(tmp_path / "copy", sidecars=False)))
    assert check(place, keys) == [(Kind.UNCHECKED, made.digests[-1])]


def test_a_copy_may_begin_below_the_bucket(tmp_path: Path, keys: Path) -> None:
    a_trail().write(tmp_path / "copy")
    assert check(place_at(str(tmp_path / "copy" / "AWSLogs")), keys) == []


@pytest.mark.parametrize(
    ("encoding", "form"),
    [
        (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.PEM, PublicFormat.PKCS1),
        (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.DER, PublicFormat.PKCS1),
    ],
)
def test_a_bare_public_key_can_be_pinned(tmp_path: Path, encoding: Encoding, form: PublicFormat) -> None:
    pinned, foreign = tmp_path / "key", tmp_path / "foreign"
    pinned.write_bytes(signing_key("genuine").public_key().public_bytes(encoding, form))
    foreign.write_bytes(signing_key("forger").public_key().public_bytes(encoding, form))
    place = place_at(str(a_trail(backfill=False).write(tmp_path / "copy")))
    assert check(place, pinned) == []
    assert {kind for kind, _ in check(place, foreign)} == {Kind.SIG, Kind.UNCHECKED}


@pytest.mark.parametrize("content", [b"", b"{}", b"no key", b'{"PublicKeyList":[{"Value":"AA=="}]}'])
def test_a_file_without_keys_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ValueError, match="holds no public key"):
        read_keys([tmp_path / "key"])


def test_every_changed_byte_of_a_digest_or_log_file_is_found(tmp_path: Path, keys: Path) -> None:
    made = a_trail(3, 1)
    for key in sorted(made.objects):
        original = made.objects[key]
        for at in range(0, len(original), max(1, len(original) // 12)):
            changed = bytearray(original)
            changed[at] ^= 1 << (at % 8)
            if _content(bytes(changed)) == _content(original):
                continue  # time in the gzip header, bits behind the last block: what is read is the same
            made.objects[key] = bytes(changed)
            place = place_at(str(made.write(tmp_path / "copy")))
            assert key in {name for _, name in check(place, keys, now=START + 4 * HOUR)}, f"{key} byte {at}"
        made.objects[key] = original


def _content(stored: bytes) -> bytes | None:
    try:
        return gzip.decompress(stored)
    except (OSError, EOFError, zlib.error):
        return None


def _sha256(made: MadeTrail, key: str) -> str:
    return hashlib.sha256(gzip.decompress(made.objects[key])).hexdigest()
