"""Locks and holds of a store are compared with what stamps and the ledger promise."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from ingest.formats.registry import all_formats
from storage.archive.manifest import Retention
from storage.archive.sealer import PartitionSealer
from storage.archive.store import ArchiveStore
from storage.settings import ArchiveSettings
from storage.verify import bucket
from storage.verify.archive import examine
from storage.verify.bucket import Bucket
from storage.verify.findings import Finding, Grade, Kind
from storage.verify.guard import Guard
from storage.verify.ledger.retention import RENAMED
from storage.verify.places import Directory
from storage.verify.scope import Scope
from streams.naming import dataset_of
from streams.topics import raw_topic
from tests.ingest.transports.aws.servers import REGION, moto
from tests.storage.archive.buckets import bucket_store, client
from tests.storage.archive.samples import TOPIC, Clock, open_store, stream
from tests.storage.retention.samples import moment
from tests.storage.retention.test_applying import LATER, Scene

UNTIL = "2033-03-02T00:00:00.000000Z"
FREE = Guard(None, held=False)


@dataclass(frozen=True, slots=True)
class Guarding:
    """A directory that says of every object what it is told to say."""

    inner: Directory
    says: Callable[[str], Guard | None]
    asked: list[str] = field(default_factory=list)

    def read(self, key: str) -> bytes | None:
        return self.inner.read(key)

    def chunks(self, key: str) -> Iterator[bytes]:
        return self.inner.chunks(key)

    def names(self, folder: str) -> list[str]:
        return self.inner.names(folder)

    def names_behind(self, folder: str, name: str, most: int) -> list[str]:
        return self.inner.names_behind(folder, name, most)

    def walk(self, folder: str) -> Iterator[str]:
        return self.inner.walk(folder)

    def metadata(self, key: str) -> Any:
        return self.inner.metadata(key)

    def guard(self, key: str) -> Guard | None:
        self.asked.append(key)
        return self.says(key)


def found(scene: Scene, says: Callable[[str], Guard | None], now: dt.datetime = LATER) -> list[Finding]:
    return list(examine(Guarding(Directory(scene.root / "archive"), says), Scope(now=now)))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_nobody_promised_anything_about_is_not_asked_for(scene: Scene) -> None:
    place = Guarding(Directory(scene.root / "archive"), lambda _: FREE)
    assert list(examine(place, Scope(now=LATER))) == []
    assert place.asked == []


def test_a_hold_that_somebody_took_off_in_the_store_is_found_at_its_object(scene: Scene) -> None:
    scene.hold()
    victim = next(iter(scene.store.keys("acme/seg/")))
    assert found(scene, lambda _: Guard(None, held=True)) == []
    (finding,) = found(scene, lambda key: Guard(None, held=key != victim))
    assert (finding.kind, finding.grade, finding.key) == (Kind.DRIFT, Grade.TAMPERED, victim)
    assert "the hold case-7 of the ledger is open" in finding.detail


def test_a_hold_of_other_data_sets_asks_for_none_and_one_too_many_is_found(scene: Scene) -> None:
    scene.hold(datasets=("gcp.*",))
    assert found(scene, lambda _: FREE) == []
    kinds = {finding.kind for finding in found(scene, lambda _: Guard(None, held=True))}
    assert kinds == {Kind.DRIFT}


def test_a_hold_that_was_entered_just_now_need_not_be_in_the_store_yet(scene: Scene) -> None:
    scene.hold()
    assert found(scene, lambda _: FREE, scene.clock() + dt.timedelta(minutes=90)) == []
    assert found(scene, lambda _: FREE, scene.clock() + dt.timedelta(minutes=150)) != []


def test_a_store_that_can_not_hold_is_no_finding(scene: Scene) -> None:
    scene.hold()
    assert found(scene, lambda _: None) == []


def test_data_sets_of_topics_are_called_as_the_writer_calls_them() -> None:
    named = {name: dataset_of(raw_topic(name)) for name in all_formats()}
    assert {name: dataset for name, dataset in named.items() if dataset != name and name in RENAMED} == RENAMED
    assert {dataset for name, dataset in named.items() if name not in RENAMED} <= set(named) | {"skytrail.audit"}


def stamped(store: ArchiveStore, clock: Clock) -> None:
    """Three messages, sealed under a policy that keeps them up to `UNTIL`."""
    promised = Retention(policy="aa", class_name="all", retain_until=UNTIL)
    writer = PartitionSealer(store, TOPIC, 0, ArchiveSettings(), clock, promise=lambda *_: promised)
    for offset, value in stream(3).items():
        writer.add(offset, value)
    writer.seal()


class Sealed:
    """Three segments in a bucket with Object Lock, stamped up to `UNTIL`, and as the verifier reads them."""

    def __init__(self, *, lockable: bool = True) -> None:
        clock = Clock()
        self.store = bucket_store("governance" if lockable else "none", lockable=lockable, clock=clock)
        stamped(self.store, clock)
        self.name = self.store._bucket
        self.place = Bucket(self.name, "archive/of-all")

    def names(self) -> list[str]:
        return [key for key in self.store.keys("acme/seg/") if not key.endswith("head.json")]

    def findings(self) -> list[Finding]:
        return list(examine(self.place, Scope()))


@pytest.fixture
def as_operator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The verifier's own client asks the server of the tests."""
    named = {"ENDPOINT_URL_S3": moto(), "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": REGION}
    for name, value in named.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials of whoever asked first
    bucket._client.cache_clear()
    bucket._locks.cache_clear()
    yield
    bucket._client.cache_clear()
    bucket._locks.cache_clear()


@pytest.mark.usefixtures("as_operator")
def test_a_segment_is_locked_for_as_long_as_its_stamp_promises() -> None:
    sealed = Sealed()
    assert {sealed.place.guard(key) for key in sealed.names()} == {Guard(moment("2033-03-02"), held=False)}
    assert sealed.findings() == []


@pytest.mark.usefixtures("as_operator")
def test_a_lock_that_somebody_shortened_is_found() -> None:
    sealed = Sealed()
    shortened = sealed.names()[0]
    earlier = {"Mode": "GOVERNANCE", "RetainUntilDate": moment("2027-01-01")}
    name = f"archive/of-all/{shortened}"
    client().put_object_retention(Bucket=sealed.name, Key=name, Retention=earlier, BypassGovernanceRetention=True)
    (finding,) = sealed.findings()
    assert (finding.kind, finding.grade, finding.key) == (Kind.LOCK_WEAK, Grade.INCOMPLETE, shortened)
    assert "locks it until 2027-01-01, its stamp promises to keep it until 2033-03-02" in finding.detail


def test_what_a_store_could_lock_and_does_not_is_found_once_for_a_segment(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    stamped(store, Clock())
    segments = sum(key.endswith(".manifest.json") for key in store.keys(""))
    findings = list(examine(Guarding(Directory(tmp_path), lambda _: FREE), Scope()))
    assert {(finding.kind, finding.grade) for finding in findings} == {(Kind.LOCK_WEAK, Grade.INCOMPLETE)}
    assert len(findings) == segments > 0
    assert "does not lock it, and its stamp promises to keep it until 2033-03-02" in findings[0].detail


@pytest.mark.usefixtures("as_operator")
def test_a_bucket_without_object_lock_is_checked_as_a_directory_is() -> None:
    sealed = Sealed(lockable=False)
    assert sealed.place.guard(sealed.names()[0]) is None
    assert sealed.findings() == []


@pytest.mark.usefixtures("as_operator")
def test_an_object_that_is_held_says_so_and_one_that_is_not_there_says_nothing() -> None:
    sealed = Sealed()
    key = sealed.names()[0]
    sealed.store.hold(key, on=True)
    assert sealed.place.guard(key) == Guard(moment("2033-03-02"), held=True)
    assert sealed.place.guard("acme/none") is None
