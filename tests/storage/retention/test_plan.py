"""The plan: what would be dropped, destroyed, kept or is blocked, from facts alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.retention.entries import Hold, Selector
from storage.retention.plan import (
    Action,
    ChainFacts,
    IndexFacts,
    Item,
    SegmentFacts,
    chain_items,
    index_item,
    make_plan,
    segment_verdict,
)
from storage.retention.record import State
from storage.retention.verdict import DESTROYS, Decision
from tests.storage.retention.samples import moment, since

TOPIC = "skytrail.raw.aws.cloudtrail.v1"
PCI = {"name": "cards", "regimes": ["pci-dss"]}
PLACE = (TOPIC, 0)


def state(*holds: Hold, **rule: Any) -> State:
    return State(policies=[since("2020-01-01", PCI | rule)], holds={hold.id: hold for hold in holds})


def hold(id_: str = "case-7", **selector: Any) -> Hold:
    return Hold(id=id_, at="", reason="claim", placed_by="alice", selector=Selector(**selector))


def index(name: str = "logs-aws.cloudtrail-acme-2026.03.01", **more: Any) -> IndexFacts:
    return IndexFacts(name=name, uuid="u1", documents=5, **{"bytes": 1000, "reach": {PLACE: (3, 40)}, **more})


def chain(days: Sequence[str], *, ledgered: int | None = None, dataset: str = "aws.cloudtrail") -> ChainFacts:
    segments = [
        SegmentFacts(seq=seq, n=10, stored=100, received=moment(day), root="r", manifest="m")
        for seq, day in enumerate(days)
    ]
    last = len(days) - 1
    tip = (99, last if ledgered is None else ledgered)
    return ChainFacts(topic=TOPIC, partition=0, dataset=dataset, segments=segments, last=last, offset=99, ledgered=tip)


def planned(facts: IndexFacts, told: State, now: str = "2026-07-01", sealed: int = 40) -> Item:
    item = index_item(facts, told, {PLACE: sealed}, moment(now))
    assert item is not None
    return item


def test_an_index_is_dropped_when_its_last_day_has_been_hot_long_enough() -> None:
    assert planned(index(), state(), "2026-06-02T23:59:59").action == Action.KEEP
    item = planned(index(), state(), "2026-06-03")
    assert (item.action, item.decision, item.until) == (
        Action.DROP_INDEX,
        Decision.HOT_EXPIRE,
        "2026-06-03T00:00:00.000000Z",
    )
    assert "pci-dss-4.0.1-10.5.1" in item.because


def test_an_index_that_got_documents_late_stays_for_its_floor_from_then_on() -> None:
    late = index(received=moment("2026-06-01"))
    assert planned(late, state(), "2026-07-01").action == Action.KEEP
    assert planned(late, state(), "2026-09-02").action == Action.DROP_INDEX


@pytest.mark.parametrize(
    ("facts", "sealed", "why"),
    [
        (index(), 39, "sealed and in the ledger up to 39, not to 40"),
        (index(reach={("other", 3): (0, 0)}), 40, "other/3 is sealed and in the ledger up to -1"),
        (index(placeless=2), 40, "2 documents name no place"),
    ],
    ids=["behind", "unknown-chain", "placeless"],
)
def test_an_index_that_the_archive_does_not_vouch_for_stays(facts: IndexFacts, sealed: int, why: str) -> None:
    item = planned(facts, state(), sealed=sealed)
    assert item.action == Action.BLOCKED
    assert why in item.blocked


def test_alerts_are_kept_as_long_as_the_archive_since_nothing_else_has_them() -> None:
    alerts = index("logs-skytrail.alert-acme-2026.03", reach={}, placeless=5)
    assert planned(alerts, state(), "2026-12-01").action == Action.KEEP
    item = planned(alerts, state(), "2027-04-02")
    assert (item.action, item.decision) == (Action.DROP_INDEX, Decision.EXPIRE)


def test_an_index_is_held_if_it_has_a_document_of_the_hold_and_only_then() -> None:
    told = state(hold(principal="mallory"))
    assert planned(index(matches={"case-7": 3}), told).decision == Decision.HELD
    assert planned(index(), told).decision == Decision.HELD  # nobody counted
    assert planned(index(matches={"case-7": 0}), told).action == Action.DROP_INDEX


@pytest.mark.parametrize(
    ("selector", "held"),
    [
        ({"since": "2026-03-02T00:00:01Z"}, False),
        ({"since": "2026-03-01T23:00:00Z"}, True),
        ({"until": "2026-03-01T00:00:00Z"}, False),
        ({"until": "2026-03-01T00:00:01Z"}, True),
        ({"datasets": ("gcp.*",)}, False),
        ({"datasets": ("gcp.*", "aws.*")}, True),
    ],
    ids=["after", "within", "before", "touching", "other-data-set", "among-data-sets"],
)
def test_a_hold_reaches_as_far_as_its_time_and_data_sets(selector: dict[str, Any], held: bool) -> None:  # noqa: FBT001
    assert (planned(index(), state(hold(**selector))).decision == Decision.HELD) == held


def test_an_index_above_the_size_of_its_rotation_is_told() -> None:
    told = state(rotation=[{"period": "day", "max_size": "1MiB"}])
    assert "larger than" in planned(index(bytes=2**20 + 1), told).note
    assert planned(index(bytes=2**20), told).note == ""


def test_what_is_no_index_of_ours_is_left_alone() -> None:
    assert index_item(index("logs-nginx.access-default"), state(), {}, moment("2040-01-01")) is None


def test_segments_are_destroyed_up_to_the_first_that_is_kept() -> None:
    facts = chain(["2025-01-01", "2025-01-01T12:00", "2025-01-02", "2026-06-01", "2026-06-02"])
    runs = list(chain_items("acme", facts, state(), moment("2026-07-01")))
    assert [(run.action, run.first, run.last, run.records, run.bytes) for run in runs] == [
        (Action.DESTROY_SEGMENTS, 0, 1, 20, 200),
        (Action.DESTROY_SEGMENTS, 2, 2, 10, 100),
        (Action.KEEP, 3, 4, 0, 0),
    ]


def test_what_came_after_the_policy_became_shorter_goes_before_what_an_earlier_promise_keeps() -> None:
    told = State(policies=[since("2020-01-01", {"name": "all", "cold": "P5Y"}), since("2024-01-01", PCI)])
    read: list[int] = []

    class Counting(list[SegmentFacts]):
        def __getitem__(self, at: Any) -> Any:
            read.append(at)
            return super().__getitem__(at)

    days = [f"{2023 + number // 300}-{number % 300 // 25 + 1:02}-{number % 25 + 1:02}" for number in range(1000)]
    facts = chain(days)
    facts = msgspec.structs.replace(facts, segments=Counting(facts.segments))
    runs = list(chain_items("acme", facts, told, moment("2025-01-04")))
    assert [(run.action, run.first, run.last) for run in runs] == [
        (Action.KEEP, 0, 299),
        (Action.DESTROY_SEGMENTS, 300, 300),
        (Action.DESTROY_SEGMENTS, 301, 301),
        (Action.DESTROY_SEGMENTS, 302, 302),
        (Action.KEEP, 303, 999),
    ]
    assert [run.note for run in runs] == ["", "", "", "", "this segment and all after it"]
    assert len(read) < 20  # of a thousand


def test_the_newest_segment_of_a_chain_and_what_is_not_in_the_ledger_stay() -> None:
    days, now = ["2020-01-01", "2020-01-02", "2020-01-03"], moment("2026-07-01")
    runs = list(chain_items("acme", chain(days), state(), now))
    assert [run.action for run in runs] == [Action.DESTROY_SEGMENTS, Action.DESTROY_SEGMENTS, Action.BLOCKED]
    assert "newest segment" in runs[2].blocked
    behind = list(
        chain_items(
            "acme", chain(["2020-01-01", "2020-01-02", "2020-01-03"], ledgered=0), state(), moment("2026-07-01")
        )
    )
    assert [run.blocked for run in behind] == ["", "it is not in the ledger", "it is not in the ledger"]


def test_segments_that_could_hold_something_of_a_hold_are_held() -> None:
    facts = chain(["2020-01-01", "2020-06-01", "2020-07-01"])
    told = state(hold(since="2020-05-01T00:00:00Z"))
    runs = list(chain_items("acme", facts, told, moment("2026-07-01")))
    assert [(run.action, run.decision) for run in runs] == [
        (Action.DESTROY_SEGMENTS, Decision.EXPIRE),
        (Action.BLOCKED, Decision.HELD),
    ]


def test_what_no_policy_speaks_of_is_blocked() -> None:
    (run,) = chain_items("acme", chain(["2020-01-01"]), State(), moment("2040-01-01"))
    assert (run.action, run.decision) == (Action.BLOCKED, Decision.UNKNOWN)


@given(st.permutations(range(4)))
def test_the_same_facts_give_the_same_bytes_in_whatever_order_they_are_found(order: list[int]) -> None:
    told, now = state(), moment("2026-07-01")
    names = [f"logs-aws.cloudtrail-acme-2026.03.0{day + 1}" for day in order]
    items = [planned(index(name), told) for name in names]
    items += list(chain_items("acme", chain(["2025-01-01", "2026-06-01"]), told, now))
    plan = make_plan(now, {"acme": told}, items)
    again = make_plan(now, {"acme": told}, reversed(items))
    assert plan.encode() == again.encode()
    assert msgspec.json.decode(plan.encode())["at"] == "2026-07-01T00:00:00.000000Z"
    assert [item.place for item in plan.items[:4]] == sorted(names)


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=12).map(sorted), st.integers(0, 6000))
def test_no_plan_destroys_a_segment_before_its_floor(days: list[int], today: int) -> None:
    start = moment("2015-01-01T13:00")
    times = [start + dt.timedelta(days=day) for day in days]
    now = start + dt.timedelta(days=today)
    facts = chain([f"{at:%Y-%m-%dT%H:%M}" for at in times])
    for run in chain_items("acme", facts, state(), now):
        if run.action == Action.DESTROY_SEGMENTS:
            assert run.first is not None
            assert run.last is not None
            assert all(now - at > dt.timedelta(days=365) for at in times[run.first : run.last + 1])
            assert run.last < len(days) - 1


@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=12).map(sorted),
    st.lists(
        st.tuples(st.integers(0, 3000), st.sampled_from(["P1M", "P6M", "P5Y", "omb-logging"])), min_size=1, max_size=4
    ),
    st.integers(0, 5000),
)
def test_no_segment_is_passed_over_that_is_over(days: list[int], promises: list[tuple[int, str]], today: int) -> None:
    start = moment("2022-01-01")
    told = State()
    for at, promise in sorted(promises):
        rule = {"regimes": [promise]} if promise == "omb-logging" else {"cold": promise}
        told.policies.append(since(f"{start + dt.timedelta(days=at):%Y-%m-%d}", {"name": "all", **rule}))
    facts = chain([f"{start + dt.timedelta(days=day):%Y-%m-%dT%H:%M}" for day in days])
    now = start + dt.timedelta(days=today)
    alone = {
        segment.seq
        for segment in facts.segments
        if segment_verdict("acme", facts.dataset, segment, told, now).decision in DESTROYS
    }
    found = {
        seq
        for run in chain_items("acme", facts, told, now)
        if run.decision in DESTROYS
        for seq in range(run.first or 0, (run.last or 0) + 1)
    }
    assert found == alone
