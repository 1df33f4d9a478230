"""The guarantee of `detectors/correlation/step.py`: the same alerts for every order within the lateness."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import GroupState, Signal
from detectors.detection import Detection
from tests.detectors.correlation.building import START, chain, correlation, correlator, draft, run, signal, told
from tests.detectors.correlation.oracle import expected

LATENESS_S = 300
KINDS: dict[str, dict[str, Any]] = {
    "event_count": {"condition": {"gte": 3}},
    "fewer events": {"condition": {"lt": 3}},
    "from two to three events": {"condition": {"gt": 1, "lte": 3}},
    "exactly two events": {"condition": {"eq": 2}},
    "value_count": {"type": "value_count", "condition": {"field": "f", "gte": 3}},
    "few values": {"type": "value_count", "condition": {"field": "f", "lte": 2}},
    "value_sum": {"type": "value_sum", "condition": {"field": "f", "gt": 9}},
    "small sum": {"type": "value_sum", "condition": {"field": "f", "lt": 5}},
    "value_avg": {"type": "value_avg", "condition": {"field": "f", "gt": 3}},
    "value_median": {"type": "value_median", "condition": {"field": "f", "gte": 3}},
    "value_percentile": {"type": "value_percentile", "condition": {"field": "f", "gte": 4, "percentile": 90}},
    "share": {"type": "value_percentile", "condition": {"field": "f", "lte": 30}},
    "temporal": {"type": "temporal", "rules": ["a", "b", "c"]},
    "two of three": {"type": "temporal", "rules": ["a", "b", "c"], "condition": {"gte": 2}},
    "temporal_ordered": {"type": "temporal_ordered", "rules": ["a", "b", "c"]},
    "in words": {"type": "temporal", "rules": ["a", "b", "c"], "condition": "a and (b or c)"},
    "in words, ordered": {"type": "temporal_ordered", "rules": ["a", "b", "c"], "condition": "a and (b or c)"},
    "not": {"type": "temporal", "rules": ["a", "b"], "condition": "a and not b"},
    "new_terms": {"type": "new_terms", "timespan": None, "condition": {"field": "f"}, "learning": "0d"},
    "rate": {
        "type": "rate",
        "condition": {"factor": 2, "minimum": 2, "quantile": 0.8},
        "history": "20m",
        "learning": "5m",
    },
    "not either": {"type": "temporal", "rules": ["a", "b", "c"], "condition": "a and not (b or c)"},
}


Arrival = tuple[int, Signal]
"""When a signal arrives, ms."""


@st.composite
def delayed(draw: st.DrawFn, one: Correlation) -> list[Arrival]:
    """Signals with the times of their arrival, within the lateness, and repetitions of some."""
    numeric = one.kind in ("value_sum", "value_avg", "value_median") or one.percentile is not None
    event = st.tuples(st.integers(0, 1500), st.sampled_from(one.rules), st.integers(0, 5))
    signals = []
    for number, (at, rule, value) in enumerate(draw(st.lists(event, min_size=1, max_size=25))):
        values = ((float(value) if numeric else str(value)),) if one.fields else ()
        signals.append(signal(one, at, rule, member=f"m{number}", values=values))
    again = draw(st.lists(st.sampled_from(signals), max_size=10))
    delay = st.integers(0, LATENESS_S * 1000)
    return [(s.at + draw(delay), s) for s in (*signals, *again)]


def arriving(given: list[Arrival]) -> list[Signal]:
    """In the order of arrival."""
    return [s for _, s in sorted(given, key=lambda pair: pair[0])]


def ordered(given: list[Arrival]) -> list[Signal]:
    """In the order of their times, each once."""
    return sorted({(s.correlation, s.rule, s.member): s for _, s in given}.values(), key=lambda s: s.at)


@pytest.mark.parametrize("body", KINDS.values(), ids=KINDS.keys())
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_every_order_within_the_lateness_gives_the_same_alerts(body: dict[str, Any], data: st.DataObject) -> None:
    one = correlation(**body, lateness=f"{LATENESS_S}s")
    given_signals = data.draw(delayed(one))
    plain = told(run([one], ordered(given_signals)))
    assert set(map(frozenset, plain.values())) == expected(one, ordered(given_signals))
    assert told(run([one], arriving(given_signals))) == plain


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_stages_of_one_action_count_once_whatever_their_order(data: st.DataObject) -> None:
    one = correlation(condition={"gte": 3}, lateness=f"{LATENESS_S}s")
    raw = data.draw(
        st.lists(st.tuples(st.integers(0, 900), st.integers(0, 5), st.integers(0, LATENESS_S * 1000)), max_size=25)
    )
    arrivals = [(START + at * 1000 + delay, signal(one, at, member=f"m{action}")) for at, action, delay in raw]
    unique = sorted({(s.at, s.member): s for _, s in arrivals}.values(), key=lambda s: s.at)
    assert sets(run([one], arriving(arrivals))) == sets(run([one], unique)) == expected(one, unique)


def sets(detections: list[Detection]) -> set[frozenset[str]]:
    """Member sets of the alerts; another stage of a member may be told of again, the suppression knows it."""
    found: dict[str, set[str]] = {}
    for each in detections:
        found.setdefault(each.alert, set()).update(match.member for match in each.matches)
    return set(map(frozenset, found.values()))


@pytest.mark.parametrize(
    "condition", ["a and not b", "b and not a", "a and not b and c", "a and c and not b", "c and not a and not b"]
)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_absence_in_an_order_is_the_same_for_every_order_of_arrival(condition: str, data: st.DataObject) -> None:
    body = {"type": "temporal_ordered", "rules": [name for name in "abc" if name in condition.replace("and", "")]}
    one = correlation(**body, condition=condition, lateness=f"{LATENESS_S}s")
    given_signals = data.draw(delayed(one))
    assert told(run([one], arriving(given_signals))) == told(run([one], ordered(given_signals)))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_new_terms_are_told_once_a_day_whatever_the_order(data: st.DataObject) -> None:
    one = correlation(
        type="new_terms", timespan=None, condition={"field": "f"}, history="3d", learning="2d", lateness="6h"
    )
    raw = data.draw(
        st.lists(st.tuples(st.integers(0, 12 * 24), st.sampled_from("xyz"), st.integers(0, 6 * 3600)), max_size=30)
    )
    signals = [signal(one, h * 3600, member=f"m{n}", values=(v,)) for n, (h, v, _) in enumerate(raw)]
    delayed = zip(signals, raw, strict=True)
    late = [s for s, _ in sorted(delayed, key=lambda pair: pair[0].at + pair[1][2] * 1000)]
    in_order = told(run([one], sorted(signals, key=lambda s: (s.at, s.member))))
    assert told(run([one], late)) == in_order
    assert set(map(frozenset, in_order.values())) == expected(one, signals)


def test_of_two_uses_of_a_new_value_the_earlier_is_told_whichever_arrives_first() -> None:
    one = correlation(type="new_terms", timespan=None, condition={"field": "f"}, learning="0d")
    early, late = (signal(one, at, member=name, values=("v",)) for at, name in ((0, "early"), (600, "late")))
    for arrived in ([early, late], [late, early]):
        assert list(told(run([one], arrived)).values()) == [{"early"}]


def written(state: GroupState | None) -> GroupState:
    """A state as another worker gets it."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=GroupState)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_rates_are_the_same_whatever_the_order(data: st.DataObject) -> None:
    one = correlation(
        type="rate",
        timespan="10m",
        condition={"factor": 2, "minimum": 3, "quantile": 0.8},
        history="40m",
        learning="20m",
        lateness=f"{LATENESS_S}s",
    )
    given_signals = data.draw(st.one_of(delayed(one), st.integers(2, 12).map(lambda number: bursts(one, number))))
    plain = told(run([one], ordered(given_signals)))
    assert set(map(frozenset, plain.values())) == expected(one, ordered(given_signals))
    assert told(run([one], arriving(given_signals))) == plain


def bursts(one: Correlation, number: int) -> list[Arrival]:
    """One match a bucket, then many in one, the last of them first."""
    quiet = [signal(one, bucket * 600, member=f"q{bucket}") for bucket in range(6)]
    loud = [signal(one, 3700 + n, member=f"l{n}") for n in range(number)]
    return [*((s.at, s) for s in quiet), *((loud[-1].at - n, s) for n, s in enumerate(loud))]


@pytest.mark.parametrize("condition", [{"gte": 2}, {"lt": 2}], ids=["upon one decided at once", "upon a settled one"])
@pytest.mark.parametrize(
    "above", [{"type": "temporal_ordered"}, {"type": "temporal", "condition": "many and not b"}], ids=["then", "not"]
)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_chains_give_the_same_alerts_for_every_order(
    condition: dict[str, Any], above: dict[str, Any], data: st.DataObject
) -> None:
    many, both = chain(
        draft("many", condition=condition, lateness=f"{LATENESS_S}s"),
        draft("both", rules=["many", "b"], **above, lateness=f"{LATENESS_S}s"),
    )
    given_signals = data.draw(delayed(many))
    ends = data.draw(st.lists(st.tuples(st.integers(0, 1800), st.integers(0, LATENESS_S * 1000)), max_size=4))
    given_signals += [(s.at + delay, s) for s, delay in ((signal(both, at, "b"), delay) for at, delay in ends)]
    plain = told(run([many, both], ordered(given_signals)))
    assert told(run([many, both], arriving(given_signals))) == plain


@settings(max_examples=60, deadline=None)
@given(data=st.data(), restart=st.integers(0, 30))
def test_a_restart_from_the_kept_states_and_a_replay_tell_nothing_twice(data: st.DataObject, restart: int) -> None:
    one = correlation(condition={"gte": 3}, lateness=f"{LATENESS_S}s")
    late = arriving(data.draw(delayed(one)))
    first, second = correlator([one]), correlator([one])
    before = first.follow(late[:restart]).detections
    for key in first.changed:
        assert second.put(key, written(first.state(key)))
    after = second.follow(late).detections
    whole = told(run([one], late))
    assert told([*before, *after]) == whole


def test_an_earlier_use_is_sent_after_a_later_one_and_nothing_else_twice() -> None:
    router = Router([correlation(type="new_terms", timespan=None, condition={"field": "f"})])
    facts = _facts_at(600, "late"), _facts_at(600, "late"), _facts_at(0, "early"), _facts_at(601, "later")
    assert [router._is_news(("term",), each) for each in facts] == [True, False, True, False]


def _facts_at(at: int, member: str) -> Any:
    return SimpleNamespace(at=at, member=member)
