"""Rotation on a bucket with Object Lock (MinIO): what its lock keeps is told as not done, stays readable, and verifies.

The clock of the policy is simulated, that of Object Lock is the real one: so months pass in which the store refuses.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skytrail.deleting import unsound
from storage.archive.stores.s3 import S3Store
from storage.retention.applying import Outcome
from storage.settings import S3ArchiveSettings
from storage.verify.archive import examine
from storage.verify.findings import Kind, Summary
from storage.verify.places import place_at
from storage.verify.scope import Scope
from tests.storage.archive.samples import TOPIC
from tests.storage.minio import MINIO, client_of, in_environment, running
from tests.storage.retention.decade import Decade, next_month
from tests.storage.retention.people import PEOPLE
from tests.storage.retention.samples import policy

pytestmark = pytest.mark.skipif(MINIO is None, reason="MinIO is not installed: Object Lock of a server not proven here")
BRIEF = policy({"name": "all", "hot": "P1M", "cold": "P2M"}, people=PEOPLE)
LOCK = dt.timedelta(days=1)
MONTHS = 6


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running(tmp_path_factory.mktemp("minio")) as url, in_environment(url):
        yield client_of(url)


class Locked(Decade):
    """Months of a namespace in a bucket with a compliance lock; `lock` is for how long the next objects are locked."""

    def __init__(self, root: Path, s3: Any) -> None:
        self.lock = LOCK
        self.s3, self.bucket = s3, f"archive-{uuid.uuid4().hex}"
        s3.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=True)
        settings = S3ArchiveSettings(bucket=self.bucket, lock="compliance", lock_days=LOCK.days)
        super().__init__(root, S3Store(settings, allow_delete=True, client=s3, clock=self.real))

    def real(self) -> dt.datetime:
        """The real time, as far back as the lock of `lock_days` has to be shortened."""
        return dt.datetime.now(dt.UTC) - LOCK + self.lock

    def pass_months(self, count: int) -> None:
        for _ in range(count):
            self.clock.now = next_month(self.clock.now)

    def readable(self) -> set[int]:
        """Segments whose stored bytes are as they were sealed."""
        return {seq for seq in self.segments() if not unsound(self.store, self.namespace, TOPIC, 0, seq)}

    def versions(self, seq: int) -> set[str]:
        """What the bucket has of a segment in any version, deletion markers included; by the end of its name."""
        told = self.s3.list_object_versions(Bucket=self.bucket, Prefix=f"{self.namespace}/seg/{TOPIC}/0/{seq:012d}")
        return {each["Key"].rpartition(".")[2] for kind in ("Versions", "DeleteMarkers") for each in told.get(kind, ())}

    def verifies(self) -> Summary:
        summary = Summary()
        found = examine(place_at(f"s3://{self.bucket}"), Scope(), summary)
        assert {each.kind for each in found} <= {Kind.GAP}  # where months pass in which nobody seals
        return summary


def test_what_the_lock_keeps_is_refused_told_every_month_and_stays_readable(s3: Any, tmp_path: Path) -> None:
    months = Locked(tmp_path, s3)
    for month in range(MONTHS):
        months.arrive(month)
        months.adopt(BRIEF) if month == 0 else None
        found = months.round()
        over = {seq for seq in range(month) if months.goes("cold", months.subjects[seq])}
        told = [result for result in found.results if result.tombstone.startswith("segments/")]
        assert {result.outcome for result in told} <= {Outcome.NOT_EXECUTED}
        assert all("the bucket keeps version" in each.detail and "its lock ends at" in each.detail for each in told)
        assert {each.seq for stone in months.record.now().unfinished() for each in stone.segments} == over
        assert len(told) == len(months.record.now().unfinished())
        assert (found.overdue > dt.timedelta()) == bool(over)
        assert months.readable() == set(range(month + 1))
        hot = {name for name, end in months.ends.items() if not months.goes("hot", end)}
        assert months.documents() == hot  # the lock of the archive does not keep what Elasticsearch has
        months.pass_months(1)
    assert over == {0, 1, 2}
    state = months.record.now()
    assert {stone.tier for stone in state.tombstones.values() if stone.id in state.receipts} == {"hot"}
    assert months.verifies().destroyed == 0


def test_what_no_lock_keeps_any_more_goes_with_every_version_beside_what_one_keeps(s3: Any, tmp_path: Path) -> None:
    months = Locked(tmp_path, s3)
    months.lock = dt.timedelta(seconds=2)
    months.arrive(0)
    months.store.delete(next(key for key in months.store.keys("acme/seg/") if key.endswith(".headers")))  # hides it
    months.store.put(*hidden(months))
    months.lock = LOCK
    months.adopt(BRIEF)
    months.pass_months(4)
    months.arrive(1)
    time.sleep(2)
    found = months.round()
    assert {result.outcome for result in found.results} == {Outcome.DONE}
    assert (months.segments(), months.versions(0)) == ({1}, {"leaves", "json"})
    assert months.verifies().destroyed == 1
    months.pass_months(4)
    months.arrive(2)
    found = months.round()
    assert found.count(Outcome.NOT_EXECUTED) == 1
    assert (months.readable(), months.versions(1)) == ({1, 2}, {"ndz", "headers", "leaves", "json"})
    assert months.verifies().destroyed == 1


def hidden(months: Locked) -> tuple[str, bytes]:
    """Key and bytes of the object that a deletion marker hides: whoever undoes that puts them again."""
    told = months.s3.list_object_versions(Bucket=months.bucket)
    (key,) = [each["Key"] for each in told["DeleteMarkers"] if "/seg/" in each["Key"]]
    (version,) = [each["VersionId"] for each in told["Versions"] if each["Key"] == key]
    return key, months.s3.get_object(Bucket=months.bucket, Key=key, VersionId=version)["Body"].read()
