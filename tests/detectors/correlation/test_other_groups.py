"""Chains that go on by another field than the correlation below groups by: its matches bring their values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.correlation.alone import Alone
from detectors.correlation.bringing import MAX_BROUGHT
from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import Brought, Signal
from detectors.rulebook import load
from tests.detectors.correlation.building import START, chain, correlator, draft, linked, run, signal, told
from tests.detectors.correlation.oracle import expected, holds
from tests.detectors.correlation.test_order_of_arrival import KINDS, LATENESS_S, sets

LATE = f"{LATENESS_S}s"
BY_ADDRESS = {"group-by": ["address"]}


def text(value: str) -> str:
    return json.dumps(value)


def brings(*addresses: str) -> Brought:
    return (("address", tuple(map(text, addresses))),) if addresses else ()


def failed(one: Correlation, at: float, *addresses: str, user: str = "alice", **changes: Any) -> Signal:
    """A failed login of a user, which also has an address."""
    given: dict[str, Any] = {"member": f"{user}{at:g}", "by": (text(user),), "brought": brings(*addresses), **changes}
    return signal(one, at, "a", **given)


def guessed_then_in(**above: Any) -> tuple[Correlation, Correlation]:
    """Three failed logins of a user, then a login from an address of one of them."""
    body = {"type": "temporal_ordered", "rules": ["x", "c"], **BY_ADDRESS, **above}
    below, upon = chain(draft("x", condition={"gte": 3}), draft("y", **body))
    return below, upon


def alerts(correlations: Iterable[Correlation], signals: Iterable[Signal], of: str = "y") -> list[set[str]]:
    found = [one for one in run(list(correlations), signals) if one.rule_id == of]
    return sorted(told(found).values(), key=sorted)


def test_a_common_value_leads_on_and_another_does_not() -> None:
    below, above = guessed_then_in()
    guesses = [failed(below, at, "1.1.1.1") for at in (0, 10, 20)]
    assert alerts([below, above], [*guesses, signal(above, 60, "c", by=(text("1.1.1.1"),))]) == [{"alice20", "c60"}]
    assert alerts([below, above], [*guesses, signal(above, 60, "c", by=(text("2.2.2.2"),))]) == []


@pytest.mark.parametrize("address", ["1.1.1.1", "2.2.2.2", "3.3.3.3"])
def test_where_matches_differ_each_value_leads_on(address: str) -> None:
    below, above = guessed_then_in()
    guesses = [failed(below, at, f"{n}.{n}.{n}.{n}") for n, at in ((1, 0), (2, 10), (3, 20))]
    assert alerts([below, above], [*guesses, signal(above, 60, "c", by=(text(address),))]) == [{"alice20", "c60"}]


def test_before_the_condition_holds_no_value_leads_on() -> None:
    below, above = guessed_then_in()
    guesses = [failed(below, at, "1.1.1.1") for at in (0, 10, 60)]
    assert alerts([below, above], [*guesses, signal(above, 30, "c", by=(text("1.1.1.1"),))]) == []


def test_matches_without_the_field_bring_nothing_and_others_of_the_window_speak_for_them() -> None:
    below, above = guessed_then_in()
    last = signal(above, 60, "c", by=(text("1.1.1.1"),))
    assert alerts([below, above], [failed(below, 0, "1.1.1.1"), failed(below, 10), failed(below, 20), last]) != []
    router = Router([below, above])
    alone = Alone(router)
    assert [one.rule_id for one in alone.follow([*(failed(below, at) for at in (0, 10, 20)), last])] == ["x"]
    assert router.left_out["y"] == 1, "that no match has the field is counted"


def test_two_fields_must_stand_in_one_match() -> None:
    below, above = guessed_then_in(**{"group-by": ["address", "agent"]})
    pairs = [("1", "curl"), ("2", "boto"), ("3", "curl")]
    guesses = [
        failed(below, n, brought=(("address", (text(address),)), ("agent", (text(agent),))))
        for n, (address, agent) in enumerate(pairs)
    ]
    for address, agent in (("1", "curl"), ("2", "boto"), ("1", "boto"), ("2", "curl")):
        last = signal(above, 60, "c", by=(text(address), text(agent)))
        assert bool(alerts([below, above], [*guesses, last])) == ((address, agent) in pairs)


def test_an_alias_says_what_the_field_is_called_below() -> None:
    below, above = guessed_then_in(**{"group-by": ["from"]}, aliases={"from": {"x": "address", "c": "source"}})
    assert below.brought == ("address",)
    guesses = [failed(below, at, "1.1.1.1") for at in (0, 10, 20)]
    assert alerts([below, above], [*guesses, signal(above, 60, "c", by=(text("1.1.1.1"),))]) != []


def test_of_very_many_values_the_newest_lead_on_and_each_does_when_it_was_new() -> None:
    below, above = guessed_then_in(timespan="2m")
    many = 3 * MAX_BROUGHT
    guesses = [failed(below, n, str(n)) for n in range(many)]
    found = correlator([below, above]).follow(guesses).chained
    last = [json.loads(one.by[0]) for one in found if one.at == START + (many - 1) * 1000]
    assert sorted(last, key=int) == [str(n) for n in range(many - MAX_BROUGHT, many)]
    assert {json.loads(one.by[0]) for one in found} == {str(n) for n in range(many)}


def test_many_alerts_below_are_counted_by_the_field_of_their_matches() -> None:
    below, above = chain(
        draft("x", condition={"gte": 2}),
        draft("y", rules=["x"], condition={"gte": 3}, timespan="1h", **BY_ADDRESS),
    )
    signals = [failed(below, at, "1.1.1.1", user=user) for user in ("u", "v", "w") for at in (0, 10, 20)]
    assert len(alerts([below, above], signals)) == 1
    assert alerts([below, above], signals[:6]) == [], "two users, however many matches"


def test_three_correlations_hand_a_field_on() -> None:
    below, middle, above = chain(
        draft("x", condition={"gte": 2}),
        draft("y", type="temporal_ordered", rules=["x", "b"]),
        draft("z", type="temporal_ordered", rules=["y", "c"], **BY_ADDRESS),
    )
    assert (below.brought, middle.brought, above.brought) == (("address",), ("address",), ())
    guesses = [failed(below, 0, "1.1.1.1"), failed(below, 10, "2.2.2.2"), signal(middle, 30, "b", by=(text("alice"),))]
    for address, leads in (("1.1.1.1", True), ("2.2.2.2", True), ("3.3.3.3", False)):
        last = signal(above, 60, "c", by=(text(address),))
        assert bool(alerts([below, middle, above], [*guesses, last], "z")) == leads


def test_what_can_not_be_handed_on_is_refused_with_place_and_reason() -> None:
    found = linked(
        [
            draft("x", condition={"gte": 2}),
            draft("y", type="rate", rules=["x"], condition={}, timespan="1h"),
            draft("z", rules=["y"], condition={"gte": 2}, **BY_ADDRESS),
            draft("w", type="value_count", rules=["x"], condition={"gte": 2, "field": "address"}),
            draft("sound", rules=["x"], condition={"gte": 2}, **BY_ADDRESS),
        ]
    )
    assert [one.id for _, one in found.pairs] == ["x", "y", "sound"]
    refused = {one.draft.name: one.error for one in found.refused}
    assert refused["z"].where == "z.yml: correlation.group-by"
    assert "y neither groups by address nor has it in `carry`, and can't hand it on from x" in str(refused["z"])
    assert refused["w"].where == "w.yml: correlation.condition.field"
    assert "no one value to compare" in str(refused["w"])


def test_a_lattice_of_correlations_is_linked_in_no_time() -> None:
    drafts = [draft(f"{side}0", condition={"gte": 2}) for side in "lr"]
    for level in range(1, 30):
        below = [f"{side}{level - 1}" for side in "lr"]
        drafts += [draft(f"{side}{level}", rules=below, condition={"gte": 2}) for side in "lr"]
    drafts.append(draft("top", rules=["l29"], condition={"gte": 2}, **BY_ADDRESS))
    found = linked(drafts)
    assert found.refused == ()
    assert all(one.brought == ("address",) for _, one in found.pairs if one.id not in ("r29", "top"))
    Router([one for _, one in found.pairs])


RULES = """
title: A key made from an address that had guessed a password
name: test-key-after-guessing
level: high
logsource: {product: aws, service: cloudtrail}
correlation:
  type: temporal_ordered
  rules: [test-guessed, test-key-made]
  group-by: [FIELD]
  timespan: 1h
tests:
  - name: the address of the first failure leads on
    fires: true
    events:
      - event: &event
          userIdentity: {type: IAMUser, userName: alice, arn: "arn:aws:iam::111122223333:user/alice"}
          eventTime: "2026-03-02T11:20:05Z"
          eventSource: signin.amazonaws.com
          eventName: ConsoleLogin
          eventID: e0a3a91f-2346-4c13-bc27-ed12b10877a9
          sourceIPAddress: 198.51.100.0
          recipientAccountId: "111122223333"
        times: 3
        every: 20s
        vary: {sourceIPAddress: "198.51.100.{n}"}
      - event: &key {<<: *event, eventName: CreateAccessKey, sourceIPAddress: 198.51.100.1}
        after: 10m
  - name: another address does not
    fires: false
    events:
      - event: *event
        times: 3
        every: 20s
        vary: {sourceIPAddress: "198.51.100.{n}"}
      - event: {<<: *key, sourceIPAddress: 198.51.100.9}
        after: 10m
---
title: Guessed
name: test-guessed
correlation:
  type: event_count
  rules: [test-failed]
  group-by: [userIdentity.userName]
  timespan: 5m
  condition: {gte: 3}
---
title: Failed
name: test-failed
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: ConsoleLogin}, condition: s}
---
title: Key made
name: test-key-made
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: CreateAccessKey}, condition: s}
"""


def test_rules_of_a_file_prove_it_on_the_real_road(tmp_path: Path) -> None:
    (tmp_path / "chain.yml").write_text(RULES.replace("FIELD", "sourceIPAddress"), "utf-8")
    book = load([tmp_path])
    assert book.errors == ()
    assert [str(finding) for finding in book.findings if "left out" in finding.message] == []
    assert [(result.expected, result.fired) for result in book.results] == [(True, True), (False, False)]


def test_a_field_that_no_event_below_can_have_is_told(tmp_path: Path) -> None:
    (tmp_path / "chain.yml").write_text(RULES.replace("FIELD", "spec.nodeName").partition("tests:")[0], "utf-8")
    (tmp_path / "base.yml").write_text("title: Guessed" + RULES.partition("---\ntitle: Guessed")[2], "utf-8")
    told_of = [finding.message for finding in load([tmp_path]).findings]
    assert "no match of the correlation test-guessed has the field spec.nodeName: its matches are left out" in told_of


ABOVE: dict[str, dict[str, Any]] = {
    "then": {"type": "temporal_ordered", "rules": ["x", "d"]},
    "together": {"type": "temporal", "rules": ["x", "d"]},
    "count": {"rules": ["x"], "condition": {"gte": 2}, "timespan": "20m"},
}
ADDRESSES = st.lists(st.sampled_from("123"), max_size=2, unique=True)


@pytest.mark.parametrize("above", ABOVE.values(), ids=ABOVE.keys())
@pytest.mark.parametrize("body", KINDS.values(), ids=KINDS.keys())
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_order_within_the_lateness_gives_the_same_alerts(
    body: dict[str, Any], above: dict[str, Any], data: st.DataObject
) -> None:
    drafts = (draft("x", **body, lateness=LATE), draft("y", **above, lateness=LATE, **BY_ADDRESS))
    below, upon = (one for _, one in linked(drafts, "abcd").pairs)
    numeric = below.kind in ("value_sum", "value_avg", "value_median") or below.percentile is not None
    event = st.tuples(st.integers(0, 1500), st.sampled_from(below.rules), st.integers(0, 5), ADDRESSES)
    signals = [
        signal(below, at, rule, member=f"m{number}", brought=brings(*addresses),
               values=((float(value) if numeric else str(value)),) if below.fields else ())
        for number, (at, rule, value, addresses) in enumerate(data.draw(st.lists(event, min_size=1, max_size=18)))
    ]  # fmt: skip
    if len(upon.rules) > 1:
        ends = data.draw(st.lists(st.tuples(st.integers(0, 1800), st.sampled_from("123")), max_size=4))
        signals += [signal(upon, at, "d", member=f"d{n}", by=(text(a),)) for n, (at, a) in enumerate(ends)]
    delay = st.integers(0, LATENESS_S * 1000)
    again = data.draw(st.lists(st.sampled_from(signals), max_size=6))
    arrivals = sorted(((one.at + data.draw(delay), n) for n, one in enumerate([*signals, *again])))
    both = [*signals, *again]
    plain = run([below, upon], sorted(signals, key=lambda one: one.at))
    late = run([below, upon], [both[n] for _, n in arrivals])
    assert {one.alert for one in late} == {one.alert for one in plain}
    assert sets(late) == sets(plain)
    if below.at_once:
        assert of_above(plain) == {alert for address in "123" for alert in naive(below, upon, signals, address)}


def of_above(found: Iterable[Any]) -> set[frozenset[str]]:
    return sets([one for one in found if one.rule_id == "y"])


def naive(below: Correlation, upon: Correlation, signals: list[Signal], address: str) -> set[frozenset[str]]:
    """The alerts above of one address: a match below stands for all of its window."""
    mine = [one for one in signals if one.correlation == below.id]
    given = [one for one in signals if one.correlation == upon.id and one.by == (text(address),)]
    for end in mine:
        window = [one for one in mine if end.at - below.timespan_ms < one.at <= end.at]
        if holds(below, end, window, mine) and brought(window, address):
            cell = str(end.at // below.cell_ms)
            given.append(signal(upon, (end.at - START) / 1000, below.id, member=end.member, unit=cell))
    return counted(upon, given) if upon.kind == "event_count" else expected(upon, given)


def brought(window: list[Signal], address: str) -> bool:
    return any(text(address) in values for one in window for _, values in one.brought)


def counted(upon: Correlation, given: list[Signal]) -> set[frozenset[str]]:
    cells: dict[int, set[str]] = {}
    for end in given:
        window = [one for one in given if end.at - upon.timespan_ms < one.at <= end.at]
        if upon.threshold and upon.threshold.holds(len({one.unit for one in window})):
            cells.setdefault(end.at // upon.cell_ms, set()).update(one.member for one in window)
    return {frozenset(members) for members in cells.values()}


def test_lists_of_values_that_somebody_chose_multiply_no_signals() -> None:
    below, above = guessed_then_in()
    judge = correlator([below, above])
    most = 0
    for number in range(3 * MAX_BROUGHT):
        addresses = [f"10.{number}.0.{last}" for last in range(MAX_BROUGHT)]
        most = max(most, len(judge.follow([failed(below, number / 10, *addresses)]).chained))
    assert most == MAX_BROUGHT, "each match is seen above under the newest values of its window, and no more"


def test_an_entry_out_of_order_reaches_no_window_that_has_enough_newer_values() -> None:
    below, above = guessed_then_in()
    judge = correlator([below, above])
    for number in range(1, 2 * MAX_BROUGHT):
        judge.follow([failed(below, number, str(number))])
    reached = judge.follow([failed(below, 0.5, "late")]).chained
    ends = sorted(one.at - START for one in reached if one.by == (text("late"),))
    assert ends[-1] == (MAX_BROUGHT - 1) * 1000, "in order, later windows would have had it among the 32 newest no more"
