"""The fold over the ledger: what is in force follows from its entries alone, and several may write to it."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path

import msgspec
import pytest

from ingest.schema.errors import IntegrityError, StoreUnavailable
from storage.ledger.tiles import pack_bundle, read_bundle
from storage.retention.approval import Request, approve, ask
from storage.retention.entries import Hold, Receipt, Release, Selector, Tombstone, entry_of, policy_entry
from storage.retention.record import Record, State, policy_digest
from storage.verify.archive import check
from tests.storage.archive.samples import Clock, seal_in_batches, stream
from tests.storage.ledger.test_notary import chains_in, notary_in, sealed, store_in
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import policy


def hold(id_: str = "case-7") -> Hold:
    return Hold(id=id_, at="", reason="claim 7/26", placed_by="alice", selector=Selector(principal="mallory"))


def recorded(root: Path, clock: Clock) -> Record:
    return Record(store_in(root), notary_in(root, clock).log("acme"))


def placed(record: Record, told: Hold, now: dt.datetime) -> State:
    return record.enter(lambda state: [] if told.id in state.holds else [entry_of(record.namespace, now, told)])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root(tmp_path: Path, clock: Clock) -> Path:
    """An archive with a ledger."""
    sealed(tmp_path, clock)
    notary_in(tmp_path, clock).record(chains_in(tmp_path))
    return tmp_path


def test_policies_come_into_force_one_after_the_other(root: Path, clock: Clock) -> None:
    record = recorded(root, clock)
    first, second = policy({"name": "x", "cold": "P1Y"}), policy({"name": "x", "cold": "P2Y", "regimes": ["pci-dss"]})
    for each in (first, second):
        clock.pass_(60)
        record.enter(lambda state, each=each: [] if state.policy == each else [policy_entry("acme", clock(), each)])
    state = recorded(root, clock).now()
    assert [each.policy for each in state.policies] == [first, second]
    assert state.policies[1].since - state.policies[0].since == dt.timedelta(minutes=1)
    assert policy_digest(state.policies[1].policy) == policy_digest(second)
    assert list(check(root / "archive")) == []


def test_a_hold_is_open_until_it_is_released_and_another_one_stays(root: Path, clock: Clock) -> None:
    record = recorded(root, clock)
    placed(record, hold(), clock())
    placed(record, hold("case-8"), clock())
    told = policy({"name": "x", "cold": "P1Y"}, people=PEOPLE)
    record.enter(lambda state: [] if state.policies else [policy_entry("acme", clock(), told)])
    record.enter(lambda state: [] if state.releases else [entry_of("acme", clock(), released("bob", "carol"))])
    state = recorded(root, clock).now()
    assert [each.id for each in state.open_holds()] == ["case-8"]
    assert set(state.holds) == {"case-7", "case-8"}
    assert state.holds["case-7"].selector.principal == "mallory"


def released(*others: str, namespace: str = "acme", hold: str = "case-7", asks: str = "alice") -> Release:
    asked = Request(action="release", namespace=namespace, subject=hold, reason="", requested_by=asks, at="")
    raw = ask(asked, SIGNERS[asks])
    for each in others:
        raw = approve(raw, SIGNERS[each], "test")
    return Release(id="case-7", at="", request=raw.decode())


@pytest.mark.parametrize(
    "release",
    [
        Release(id="case-7", at="", request=""),
        released("bob"),
        released("bob", "mallory"),
        released("bob", "carol", asks="mallory"),
        released("bob", "carol", namespace="other"),
        released("bob", "carol", hold="case-8"),
    ],
)
def test_a_release_without_its_approvals_ends_nothing_and_does_not_stand_in_the_way_of_a_good_one(
    release: Release, root: Path, clock: Clock
) -> None:
    record, told = recorded(root, clock), policy({"name": "x", "cold": "P1Y"}, people=PEOPLE)
    record.enter(lambda state: [] if state.policies else [policy_entry("acme", clock(), told)])
    early = record.log.size
    for entry in (released("bob", "carol"), release):  # before there is such a hold, and after
        left = [entry_of("acme", clock(), entry)]
        record.log.append(lambda _, left=left: [left.pop()] if left else [])  # type: ignore[misc]
        placed(record, hold(), clock())
    assert record.log.size == early + 3
    assert [each.id for each in recorded(root, clock).now().open_holds()] == ["case-7"]
    record.enter(lambda state: [] if state.releases else [entry_of("acme", clock(), released("bob", "carol"))])
    assert recorded(root, clock).now().open_holds() == []


def test_the_newest_leap_between_two_entries_is_known(root: Path, clock: Clock) -> None:
    record, start = recorded(root, clock), clock()
    assert record.now().leap is None
    for number, days in enumerate((0.9, 40, 0.5, -30, 0.1)):
        clock.pass_(days * 86400)
        placed(record, hold(f"case-{number}"), clock())
    state = recorded(root, clock).now()
    assert state.oldest is not None
    assert state.oldest <= start
    assert state.leap == (clock() + dt.timedelta(days=29.9), clock() - dt.timedelta(days=0.1))


def test_what_has_a_tombstone_and_no_receipt_is_unfinished(root: Path, clock: Clock) -> None:
    record = recorded(root, clock)
    stone = Tombstone(
        id="t1",
        at="",
        tier="hot",
        decision="HOT_EXPIRE",
        because="x",
        until="",
        policy="ab",
        dataset="x",
        index="logs-x-acme-2020.01",
    )
    record.enter(lambda state: [] if state.tombstones else [entry_of("acme", clock(), stone)])
    assert [each.id for each in record.now().unfinished()] == ["t1"]
    record.enter(lambda state: [] if state.receipts else [entry_of("acme", clock(), Receipt(id="t1", at=""))])
    assert recorded(root, clock).now().unfinished() == []


def test_entries_that_were_changed_are_refused(root: Path, clock: Clock) -> None:
    placed(recorded(root, clock), hold(), clock())
    folder = root / "archive" / "acme" / "log" / "1" / "tile" / "entries"
    (path,) = [each for each in folder.rglob("*") if each.is_file() and b"case-7" in each.read_bytes()]
    width = int(path.name)
    entries = read_bundle(lambda _: path.read_bytes(), 0, width)
    path.chmod(0o600)
    path.write_bytes(pack_bundle([each.replace(b"mallory", b"malorie") for each in entries]))
    with pytest.raises(IntegrityError, match="do not give its root"):
        recorded(root, clock).now()


def test_whoever_else_enters_holds_nothing_is_entered_twice_and_nothing_is_lost(root: Path, clock: Clock) -> None:
    names = [f"case-{number}" for number in range(6)]

    def place_all() -> None:
        record = recorded(root, clock)
        for name in names:
            while True:
                try:
                    placed(record, hold(name), clock())
                    break
                except StoreUnavailable:
                    continue

    threads = [threading.Thread(target=place_all) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = recorded(root, clock).now()
    assert sorted(state.holds) == names
    kinds = [kind for kind, _ in state.indices]
    assert kinds.count("hold") == len(names)
    assert list(check(root / "archive")) == []


def test_a_hold_can_be_placed_while_the_seal_role_writes(tmp_path: Path, clock: Clock) -> None:
    messages = stream(60)
    seal_in_batches(store_in(tmp_path), dict(list(messages.items())[:6]), range(6), clock)
    notary = notary_in(tmp_path, clock)
    notary.record(chains_in(tmp_path))
    seal_in_batches(store_in(tmp_path), messages, range(60), clock)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                notary.record(chains_in(tmp_path))
                notary.tell_idle(chains_in(tmp_path))
                clock.pass_(100)
            except StoreUnavailable:
                continue

    worker = threading.Thread(target=work)
    worker.start()
    record = recorded(tmp_path, clock)
    for number in range(8):
        placed(record, hold(f"case-{number}"), clock())
    stop.set()
    worker.join()
    notary.record(chains_in(tmp_path))
    assert len(recorded(tmp_path, clock).now().holds) == 8
    assert list(check(tmp_path / "archive")) == []


def test_of_two_entries_with_one_id_the_first_counts() -> None:
    state = State()
    for index, by in enumerate(("alice", "mallory")):
        told = msgspec.structs.replace(hold(), placed_by=by)
        state.take(1, index, entry_of("acme", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), told))
    assert state.holds["case-7"].placed_by == "alice"
    assert state.indices["hold", "case-7"] == (1, 0)
