"""What people decide about alerts: which steps there are, and that none of them is forgotten."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.alert_fields import ALERT_STATE_FIELDS
from detectors.triage import MAX_CHANGES, MAX_COMMENT_CHARS, Change, ImpossibleChange, changed, people_part
from ingest.schema.fields import Registry, paths

NOW = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
CLOSE = Change("close", "bob", "the scanner", classification="false_positive", reason="incorrect_alert_logic")
CHANGES = {
    "ack": Change("acknowledge", "alice"),
    "assign": Change("assign", "alice", owner="carol"),
    "free": Change("assign", "alice"),
    "close": CLOSE,
    "true": Change("close", "bob", "a theft", classification="true_positive"),
    "reopen": Change("reopen", "bob"),
    "comment": Change("comment", "bob", "hm"),
}


def after(*names: str, **entries: Any) -> dict[str, Any]:
    state = {"status": "open", "owner": None, "classification": None, "count": 3, **entries}
    for name in names:
        state |= changed(state, CHANGES[name], NOW)
    return state


def test_whoever_acknowledges_an_alert_of_nobody_owns_it() -> None:
    assert (after("ack")["status"], after("ack")["owner"]) == ("acknowledged", "alice")
    assert after("assign", "ack")["owner"] == "carol"


def test_acknowledging_twice_changes_nothing_and_keeps_the_first_time() -> None:
    state = after("ack")
    assert changed(state, CHANGES["ack"], NOW + dt.timedelta(hours=1)) == {}
    assert state["acknowledged"] == "2026-11-22T10:00:00.000Z"


def test_closing_says_what_it_was_and_why() -> None:
    state = after("ack", "close")
    assert (state["status"], state["classification"], state["closing_reason"]) == (
        "closed",
        "false_positive",
        "incorrect_alert_logic",
    )
    assert state["history"][1] == {
        "at": "2026-11-22T10:00:00.000Z",
        "by": "bob",
        "action": "close",
        "status": {"from": "acknowledged", "to": "closed"},
        "classification": {"from": None, "to": "false_positive"},
        "closing_reason": {"from": None, "to": "incorrect_alert_logic"},
        "comment": "the scanner",
    }


def test_a_wrong_classification_can_be_corrected_and_both_stay_in_the_history() -> None:
    history = after("close", "true")["history"]
    assert [record["classification"]["to"] for record in history] == ["false_positive", "true_positive"]


def test_a_reopened_alert_has_no_classification_and_a_closed_one_is_not_acknowledged() -> None:
    assert after("close", "reopen")["classification"] is None
    with pytest.raises(ImpossibleChange, match="reopen"):
        after("close", "ack")
    with pytest.raises(ImpossibleChange, match="only a closed"):
        after("reopen")


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"action": "close", "comment": "x"}, "needs a classification"),
        ({"action": "close", "classification": "undetermined", "comment": " "}, "needs a comment"),
        (
            {"action": "close", "classification": "true_positive", "comment": "x", "reason": "inaccurate_data"},
            "does not fit true_positive: suspicious_activity would",
        ),
        ({"action": "comment"}, "empty"),
        ({"action": "comment", "comment": "x" * (MAX_COMMENT_CHARS + 1)}, "longer"),
        ({"action": "acknowledge", "by": " "}, "nobody"),
    ],
)
def test_a_decision_that_fits_no_alert_is_refused_with_the_reason(parts: dict[str, Any], why: str) -> None:
    with pytest.raises(ImpossibleChange, match=why):
        Change(**{"by": "bob", **parts})


def test_the_history_refuses_what_it_would_have_to_drop() -> None:
    full = after(history=[{"by": "x"}] * MAX_CHANGES)
    with pytest.raises(ImpossibleChange, match="more are not kept"):
        changed(full, CHANGES["comment"], NOW)


@given(st.lists(st.sampled_from(sorted(CHANGES)), max_size=12))
def test_whatever_people_do_the_history_leads_from_the_beginning_to_what_is_now(names: list[str]) -> None:
    state: dict[str, Any] = after()
    for name in names:
        try:
            state |= changed(state, CHANGES[name], NOW)
        except ImpossibleChange:
            continue
    replayed: dict[str, Any] = {"status": "open", "owner": None, "classification": None, "closing_reason": None}
    for record in state.get("history", []):
        for entry, value in list(replayed.items()):
            if entry in record:
                assert record[entry]["from"] == value
                replayed[entry] = record[entry]["to"]
    assert replayed == {name: state.get(name) for name in replayed}
    assert state["count"] == 3
    assert "count" not in people_part(state)


def test_every_entry_is_a_field_of_the_index() -> None:
    registry = Registry(ALERT_STATE_FIELDS)
    written = paths({"skytrail": {"alert": after("assign", "ack", "close", "reopen", "close")}})
    assert [path for path in written if not registry.allows(path)] == []
