"""A report of each period is delivered once, whole or not at all, however often and from wherever it is tried."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.errors import ConfigError, IntegrityError, StoreUnavailable
from skytrail.cli.commands.report_deliver import chosen, delivered
from skytrail.reports.delivering import RECEIPT, Delivery, Receipt
from skytrail.reports.files import read
from skytrail.reports.report import Report, Section, Verdict
from skytrail.reports.schedule import MOST, Every, Span, due, span_at, span_named
from skytrail.reports.settings import DeliverySettings, ReportSettings
from skytrail.reports.signing import NOTE, check, origin_of
from skytrail.settings import Settings
from storage.archive.store import ArchiveStore
from storage.archive.stores.filesystem import FilesystemStore
from storage.gcs_settings import GcsArchiveSettings
from storage.ledger.signing import NoteSigner
from storage.settings import ArchiveSettings, ElasticsearchSettings, LedgerSettings, Login, S3ArchiveSettings
from tests.azurite import ACCOUNT, Azurite
from tests.storage.archive.containers import container
from tests.storage.archive.faults import Fault, FaultyStore
from tests.storage.archive.gcs_buckets import fake_gcs, gcs_store
from tests.storage.verify.ledger.samples import ORGANISATION, small

NOW = dt.datetime(2026, 11, 27, 10, tzinfo=dt.UTC)
SIGNER = NoteSigner(origin_of("logs.example.org"), Ed25519PrivateKey.from_private_bytes(b"7" * 32))
TIMES = st.integers(1_575_000_000, 1_895_000_000).map(lambda seconds: dt.datetime.fromtimestamp(seconds, dt.UTC))
EVERY = st.sampled_from(["day", "week", "month"])
YESTERDAY = span_named("day", "2026-11-26")


class Maker:
    """Makes a report of a period; each at another time, as a clock would have it."""

    def __init__(self) -> None:
        self.made: list[str] = []

    async def __call__(self, span: Span) -> Report:
        self.made.append(span.name)
        section = Section(name="counts", title="Counts", text="Counted.", columns=("n",), rows=((len(self.made),),))
        return Report(
            kind="integrity",
            title="Integrity",
            scope="all namespaces",
            start=span.start,
            end=span.end,
            made_at=NOW + dt.timedelta(seconds=len(self.made)),
            made_by="alice",
            product="Skytrail 0",
            sections=(section,),
        )


def run(store: ArchiveStore, make: Maker, now: dt.datetime = NOW) -> tuple[list[Receipt], list[str]]:
    told: list[str] = []
    return asyncio.run(Delivery("nightly", "day", store).deliver(make, [SIGNER], now, told.append)), told


@given(EVERY, TIMES)
def test_periods_follow_each_other_without_a_gap_and_keep_their_names(every: Every, time: dt.datetime) -> None:
    span = span_at(every, time)
    assert span.start <= time < span.end
    assert span_named(every, span.name) == span
    assert span_at(every, span.end).start == span.end


@given(EVERY, TIMES, st.integers(0, 70))
def test_every_period_that_is_over_is_due_once_and_none_before_its_end(
    every: Every, now: dt.datetime, back: int
) -> None:
    newest = span_at(every, now - dt.timedelta(days=back))
    found = due(every, newest, now)
    assert all(span.end <= now for span in found)
    assert all(one.end == next_.start for one, next_ in itertools.pairwise(found))
    assert not found or found[0].start == newest.end
    assert len(found) == MOST or not found or span_at(every, now).start == found[-1].end


@pytest.mark.parametrize(
    ("every", "name"), [("day", "2026-02-30"), ("day", "2026-W48"), ("week", "2026-11-26"), ("month", "2026-13")]
)
def test_what_is_no_period_is_refused(every: Every, name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever part of it is wrong
        span_named(every, name)


def test_a_report_is_delivered_once_and_can_be_checked_where_it_lies(tmp_path: Path) -> None:
    store, make = FilesystemStore(tmp_path), Maker()
    (receipt,), told = run(store, make)
    assert (run(store, make)[0], make.made) == ([], ["2026-11-26"])
    files = read(str(tmp_path / receipt.folder))
    assert {"report.json", "report.html", "report.pdf", "counts.csv", NOTE} == set(files)
    note = files.pop(NOTE)
    assert check(note, files, [SIGNER.key]).problems == []
    assert told == [receipt.told]
    assert receipt.sha256["report.json"] in told[0]


def test_days_that_were_missed_are_made_up_for_oldest_first(tmp_path: Path) -> None:
    store, make = FilesystemStore(tmp_path), Maker()
    run(store, make)
    receipts, _ = run(store, make, NOW + dt.timedelta(days=3))
    assert [receipt.period for receipt in receipts] == ["2026-11-27", "2026-11-28", "2026-11-29"]


def test_a_clock_that_was_ahead_does_not_end_deliveries_once_it_is_right_again(tmp_path: Path) -> None:
    store, make = FilesystemStore(tmp_path), Maker()
    run(store, make)
    assert run(store, make, NOW + dt.timedelta(days=4000))[0]
    receipts, _ = run(store, make, NOW + dt.timedelta(days=1))
    assert receipts == []  # made up for while the clock was ahead: the first of the 31
    later, _ = run(store, make, NOW + dt.timedelta(days=33))
    assert [receipt.period for receipt in later] == ["2026-12-28", "2026-12-29"]


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_delivery_that_breaks_anywhere_is_whole_after_the_next_and_never_two(fault: Fault, tmp_path: Path) -> None:
    counting = FaultyStore(FilesystemStore(tmp_path / "count"), -1, "lost")
    run(counting, Maker())
    for at in range(counting.operations):
        inner, make = FilesystemStore(tmp_path / f"{fault}-{at}"), Maker()
        with pytest.raises(StoreUnavailable):
            run(FaultyStore(inner, at, fault), make)
        receipts, _ = run(inner, make)
        assert len(receipts) <= 1
        receipt = Delivery("nightly", "day", inner).receipt(YESTERDAY)
        assert receipt is not None
        files = read(str(tmp_path / f"{fault}-{at}" / receipt.folder))
        assert check(files.pop(NOTE), files, [SIGNER.key]).problems == []
        assert [key for key in inner.keys("nightly/") if key.endswith(RECEIPT)] == [f"nightly/2026-11-26/{RECEIPT}"]


def test_of_two_machines_at_once_one_delivers(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)

    class Slow(Maker):
        async def __call__(self, span: Span) -> Report:
            receipts, _ = await asyncio.to_thread(run, store, Maker())
            assert len(receipts) == 1
            self.made.append("")  # its report is made later, so it is another one
            return await super().__call__(span)

    assert run(store, Slow())[0] == []
    assert len([key for key in store.keys("nightly/") if key.endswith(RECEIPT)]) == 1


def test_what_is_no_receipt_stops_the_delivery(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    store.put(f"nightly/2026-11-26/{RECEIPT}", b"{}")
    with pytest.raises(IntegrityError, match="reading a receipt"):
        run(store, Maker())


def test_a_delivery_of_the_settings_is_measured_signed_and_put(tmp_path: Path) -> None:
    made = small(tmp_path / "made")
    login = Login(username="reader")
    settings = Settings(
        state_dir=tmp_path,
        archive=ArchiveSettings(directory=made.root),
        ledger=LedgerSettings(organisation=ORGANISATION, keys_file=made.keys.path),
        elasticsearch=ElasticsearchSettings(url="http://127.0.0.1:9", reader=login),
    )
    made.keys.add(dt.datetime.now(dt.UTC), not_before=dt.datetime.now(dt.UTC), days=9)
    wanted = DeliverySettings(kind="integrity", whole=True, directory=tmp_path / "reports")
    (receipt,) = asyncio.run(delivered(settings, "nightly", wanted, lambda _: None))
    assert receipt.verdict in {each.value for each in Verdict}
    files = read(str(tmp_path / "reports" / receipt.folder))
    key = made.keys.newest(dt.datetime.now(dt.UTC)).verifier_keys(origin_of(ORGANISATION))[0]
    assert check(files.pop(NOTE), files, [key]).problems == []


def settings_with(tmp_path: Path, **wanted: DeliverySettings) -> Settings:
    archive = ArchiveSettings(directory=tmp_path / "archive")
    return Settings(state_dir=tmp_path, archive=archive, reports=ReportSettings(deliveries=wanted))


def test_deliveries_that_can_not_be_are_refused(tmp_path: Path) -> None:
    good = DeliverySettings(kind="integrity", directory=tmp_path / "reports")
    assert set(chosen(settings_with(tmp_path, nightly=good), [])) == {"nightly"}
    with pytest.raises(ConfigError, match="no delivery 'weekly'"):
        chosen(settings_with(tmp_path, nightly=good), ["weekly"])
    with pytest.raises(ConfigError, match="have no delivery"):
        chosen(settings_with(tmp_path), [])
    with pytest.raises(ConfigError, match="no kind 'weather'"):
        chosen(settings_with(tmp_path, nightly=good.model_copy(update={"kind": "weather"})), [])
    with pytest.raises(ConfigError, match="must not lie in the archive"):
        chosen(settings_with(tmp_path, nightly=good.model_copy(update={"directory": tmp_path / "archive/x"})), [])


def test_a_delivery_has_one_place() -> None:
    bucket = S3ArchiveSettings(bucket="reports")
    with pytest.raises(ValueError, match="one of directory, s3, azure and gcs"):
        DeliverySettings(kind="integrity")
    with pytest.raises(ValueError, match="one of directory, s3, azure and gcs"):
        DeliverySettings(kind="integrity", directory=Path("x"), s3=bucket)
    with pytest.raises(ValueError, match="one of directory, s3, azure and gcs"):
        DeliverySettings(kind="integrity", gcs=GcsArchiveSettings(bucket="reports"), s3=bucket)


CLOUDS: dict[str, dict[str, str]] = {
    "s3": {"bucket": "acme-audit"},
    "azure": {"account": "acmeaudit", "container": "audit"},
    "gcs": {"bucket": "acme-audit"},
}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(
    ("prefix", "within"), [("", True), ("sealed", True), ("sealed/x", True), ("sealed-not", False)]
)
def test_no_delivery_goes_into_an_archive_in_a_cloud(cloud: str, prefix: str, *, within: bool) -> None:
    archive = ArchiveSettings.model_validate({cloud: {**CLOUDS[cloud], "prefix": "sealed"}})
    wanted = DeliverySettings.model_validate({"kind": "integrity", cloud: {**CLOUDS[cloud], "prefix": prefix}})
    settings = Settings(archive=archive, reports=ReportSettings(deliveries={"nightly": wanted}))
    if within:
        with pytest.raises(ConfigError, match="must not lie in the archive"):
            chosen(settings, [])
    else:
        assert set(chosen(settings, [])) == {"nightly"}


@pytest.mark.parametrize("cloud", ["azure", "gcs"])
def test_a_delivered_report_is_read_and_checked_where_it_lies(
    cloud: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    place: dict[str, object] = {"prefix": "daily", "lock": "none"}
    if cloud == "azure":
        azurite: Azurite = request.getfixturevalue("azurite")
        file = tmp_path / "connection"
        file.write_text(azurite.connection_string)
        name = container(azurite).container_name
        place |= {"account": ACCOUNT, "container": name, "connection_string_file": file}
    else:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake_gcs())
        place |= {"bucket": gcs_store()._settings.bucket}
    made = small(tmp_path / "made")
    made.keys.add(dt.datetime.now(dt.UTC), not_before=dt.datetime.now(dt.UTC), days=9)
    settings = Settings(
        state_dir=tmp_path,
        archive=ArchiveSettings(directory=made.root),
        ledger=LedgerSettings(organisation=ORGANISATION, keys_file=made.keys.path),
        elasticsearch=ElasticsearchSettings(url="http://127.0.0.1:9", reader=Login(username="reader")),
    )
    wanted = DeliverySettings.model_validate({"kind": "integrity", "whole": True, cloud: place})
    (receipt,) = asyncio.run(delivered(settings, "nightly", wanted, lambda _: None))
    assert asyncio.run(delivered(settings, "nightly", wanted, lambda _: None)) == []
    assert wanted.cloud is not None
    address, _, option = wanted.cloud.opening_address.partition("?")
    files = read(f"{address}/{receipt.folder}" + (f"?{option}" if option else ""))
    key = made.keys.newest(dt.datetime.now(dt.UTC)).verifier_keys(origin_of(ORGANISATION))[0]
    assert check(files.pop(NOTE), files, [key]).problems == []
