"""What the watch concludes from counts over time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.source_watch.alerts import detection, rules
from detectors.source_watch.state import LagState, Limits, SourceState
from detectors.source_watch.watch import Notice, expected_s, observe, observe_lag, tolerated_s

BEGIN = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)
SOURCE = "prod|aws.cloudtrail|trail"
LIMITS = Limits(look_interval_s=60)


def looks(
    state: SourceState, counts: Iterable[int], start: dt.datetime = BEGIN, limits: Limits = LIMITS
) -> list[Notice]:
    """Look once a minute; each number is what came since the look before."""
    found = []
    total = state.count
    for minute, number in enumerate(counts):
        total += number
        found += observe(state, total, start + dt.timedelta(minutes=minute), limits)
    return found


def habit(every: int = 5, times: int = 40) -> SourceState:
    """A source that brings 10 records every so many minutes, watched until its last record."""
    state = SourceState(source=SOURCE)
    assert looks(state, ([10] + [0] * (every - 1)) * times + [10]) == []
    return state


def after(state: SourceState, minutes: int = 1) -> dt.datetime:
    return dt.datetime.fromtimestamp(state.looked_at / 1000, dt.UTC) + dt.timedelta(minutes=minutes)


def test_a_source_that_keeps_its_habit_is_never_told_of() -> None:
    state = habit()
    assert looks(state, [0, 0, 0, 0, 10] * 50, after(state)) == []
    assert expected_s(state, LIMITS) == 300


def test_silence_is_told_once_with_its_begin_and_ended_by_a_recovery() -> None:
    state = habit()
    last = state.grew_at
    told = looks(state, [0] * 200, after(state))
    assert [(n.kind, n.since, n.seconds) for n in told] == [("silent", last, 300.0)]
    back = looks(state, [7], after(state))
    assert [(n.kind, n.since) for n in back] == [("recovered", last)]
    assert back[0].seconds == 201 * 60


def test_silence_is_told_after_the_tolerated_time_and_not_before() -> None:
    state = habit(every=30)
    assert tolerated_s(state, LIMITS) == 90 * 60
    assert looks(state, [0] * 90, after(state)) == []
    assert [n.kind for n in looks(state, [0], after(state))] == ["silent"]


def test_a_stated_interval_beats_the_habit() -> None:
    limits = Limits(look_interval_s=60, expected_s={"trail": 3600})
    state = habit()
    assert looks(state, [0] * 180, after(state), limits) == []
    assert [n.kind for n in looks(state, [0], after(state), limits)] == ["silent"]


def test_an_interval_stated_for_a_collector_holds_for_each_of_its_senders_and_one_for_a_sender_beats_it() -> None:
    limits = Limits(look_interval_s=60, expected_s={"hook": 600, "hook/shop": 3600})
    tolerated = {
        sender: tolerated_s(SourceState(source=f"prod|kubernetes.audit|{sender}"), limits)
        for sender in ("hook", "hook/garden", "hook/shop", "hooks")
    }
    assert tolerated == {"hook": 1800, "hook/garden": 1800, "hook/shop": 10800, "hooks": 86_400}


def test_nobody_is_alarmed_because_nobody_ran_a_command_unless_it_is_asked_for() -> None:
    own = SourceState(source="default|skytrail.audit|skytrail")
    assert looks(own, [1] + [0] * 60 * 24 * 3) == []
    asked = Limits(look_interval_s=60, expected_s={"skytrail": 3600})
    assert [n.kind for n in looks(own, [0], after(own), asked)] == ["silent"]


def test_a_source_without_habit_gets_a_day() -> None:
    state = SourceState(source=SOURCE)
    assert looks(state, [5] + [0] * 24 * 60) == []
    assert [n.kind for n in looks(state, [0], after(state))] == ["silent"]


def test_a_rare_format_of_a_sender_that_brings_others_is_not_silent_before_its_habit_is_known() -> None:
    rare, limits = SourceState(source="prod|azure.identity_protection|hub"), Limits(look_interval_s=3600)
    told: list[Notice] = []
    for hour in range(24 * 30):
        now = BEGIN + dt.timedelta(hours=hour)
        alive = hour < 24 * 28  # then the sender brings nothing at all
        beside = int((now if alive else BEGIN + dt.timedelta(hours=24 * 28)).timestamp() * 1000)
        told += observe(rare, 1 + min(hour, 24 * 28) // (24 * 7), now, limits, beside=beside)
    assert [(n.kind, n.about) for n in told] == [("silent", rare.source)]


def test_a_source_that_never_brought_anything_is_not_silent() -> None:
    assert looks(SourceState(source=SOURCE), [0] * 3000) == []


def test_a_retired_source_is_not_told_of() -> None:
    state = habit()
    state.retired_at = state.looked_at
    assert looks(state, [0] * 300, after(state)) == []


def test_nothing_is_concluded_from_time_in_which_nobody_watched() -> None:
    state = habit()
    gaps = list(state.gaps)
    assert looks(state, [10, 0, 0], after(state, minutes=600)) == []
    assert state.gaps == gaps
    told = looks(state, [0] * 30, after(state))
    assert [n.kind for n in told] == ["silent"]


DAY = 24 * 60


def office(days: int, left_out: Iterable[int] = (), dead: Iterable[range] = (), rate: int = 2) -> list[int]:
    """Minutes of days that begin on a Monday: records from 8 to 18 on workdays, else none; none in what is dead."""
    minutes = []
    for day in range(days):
        works = day % 7 < 5 and day not in left_out
        minutes += [rate if works and 8 * 60 <= minute < 18 * 60 else 0 for minute in range(DAY)]
    for span in dead:
        minutes[span.start : span.stop] = [0] * len(minutes[span.start : span.stop])
    return minutes


def shifted(span: range, days: int) -> range:
    return range(span.start + days * DAY, span.stop + days * DAY)


def notices(counts: Iterable[int]) -> list[Notice]:
    return looks(SourceState(source=SOURCE), counts)


def kinds(minutes: list[int], step: int = 5) -> list[tuple[str, str]]:
    """What looks every few minutes tell, and when."""
    state = SourceState(source=SOURCE)
    limits = Limits(look_interval_s=60 * step)
    found = []
    total = minutes[0]
    for minute in range(0, len(minutes), step):
        total += sum(minutes[max(0, minute - step + 1) : minute + 1]) if minute else 0
        at = BEGIN + dt.timedelta(minutes=minute)
        found += [(notice.kind, f"{at:%d %H:%M}") for notice in observe(state, total, at, limits)]
    return found


def test_nights_are_learned_in_a_day_weekends_in_two_weeks_and_a_day_off_is_told() -> None:
    first = [at for kind, at in kinds(office(28)) if kind == "silent"]
    assert first == ["02 18:20", "07 10:20", "14 10:20"]  # BEGIN is Monday, the 2nd
    day_off = [at for kind, at in kinds(office(19, left_out=[17])) if kind == "silent"]
    assert day_off[3:] == ["19 10:20"]  # Thursday; two hours' grace and the tolerated time


def test_who_is_late_in_the_evening_is_not_silent_at_night() -> None:
    minutes = office(16)
    for day in range(16):
        if day % 7 < 5:
            minutes[day * DAY + 18 * 60 + 5] = 40
    assert [at for kind, at in kinds(minutes) if kind == "silent"] == ["02 18:25", "07 09:25", "14 09:25"]


@pytest.mark.parametrize("outage", [range(15 * DAY + 630, 15 * DAY + 960), range(15 * DAY, 16 * DAY)])
def test_an_outage_is_no_habit_a_week_later(outage: range) -> None:
    told = [at for kind, at in kinds(office(23, dead=[outage, shifted(outage, 7)])) if kind == "silent"]
    first = "17 10:50" if outage.start % DAY else "17 10:20"
    assert told[3:] == [first, f"24 {first[3:]}"]


def test_nothing_is_learned_of_a_long_outage_but_nights_and_days_anew() -> None:
    back = 36 * DAY + 600  # Tuesday, 10:00
    minutes = office(44, dead=[range(15 * DAY, back), range(43 * DAY, 44 * DAY)])
    told = [at for kind, at in kinds(minutes) if kind == "silent"][3:]
    assert told == ["17 10:20", "08 18:20", "12 10:20", "15 10:20"]  # the outage, a night, a Saturday, the next outage


def test_a_busy_source_that_rests_at_weekends_drops_on_none_that_it_is_known_to_rest_on() -> None:
    told = [at for kind, at in kinds(office(35, rate=10)) if kind == "dropped"]
    assert told == ["07 09:00", "14 09:00"]
    less = office(23, rate=10)
    for day in (15, 22):
        less[day * DAY + 600 : day * DAY + 660] = [2] * 60
    assert [at for kind, at in kinds(less) if kind == "dropped"] == [*told, "17 11:00", "24 11:00"]


def test_a_silence_that_began_as_a_usual_rest_says_so() -> None:
    told = [notice for notice in notices(office(19, left_out=[17])) if notice.kind == "silent"]
    assert told[-1].rested
    assert "a day off looks the same" in detection(told[-1], []).reason
    stopped = [each for each in notices(office(16, dead=[range(15 * DAY + 630, 16 * DAY)])) if each.kind == "silent"]
    assert not stopped[-1].rested
    assert "day off" not in detection(stopped[-1], []).reason


@pytest.mark.parametrize("every", [1, 7, 20, 25, 35, 50, 59])
def test_a_source_that_keeps_time_day_and_night_is_told_as_soon_as_one_without_nights(every: int) -> None:
    state = habit(every, times=9 * 24 * 60 // every)
    tolerated = max(900.0, 3 * every * 60.0)
    assert tolerated_s(state, LIMITS) == tolerated
    told = looks(state, [0] * (int(tolerated) // 60 + 245), after(state))
    assert [n.kind for n in told] == ["silent"]
    state = habit(every, times=9 * 24 * 60 // every)
    late = 0 if every in (1, 7, 20) else 240
    assert looks(state, [0] * (int(tolerated) // 60 + 1 + late), after(state))


def test_a_source_that_stops_in_its_busy_hours_is_told_within_the_tolerated_time() -> None:
    minutes = office(16)
    stopped = minutes[: 15 * 24 * 60 + 10 * 60 + 30] + [0] * 60  # Tuesday, 10:30
    assert kinds(stopped, step=1)[-1] == ("silent", "17 10:45")


def test_a_drop_of_an_hour_is_told_by_its_size_and_ended_by_a_usual_hour() -> None:
    state = SourceState(source=SOURCE)
    usual = [10] * 60
    assert looks(state, usual * 14 + [1]) == []
    told = looks(state, [1] * 59 + usual + [1], after(state))
    first, back = told
    assert (first.kind, first.number, first.usual, first.grave) == ("dropped", 60, 600, False)
    assert back.kind == "recovered"


def test_a_drop_below_a_tenth_is_grave() -> None:
    state = SourceState(source=SOURCE)
    assert looks(state, [10] * 60 * 14) == []
    told = looks(state, ([0] * 5 + [3]) * 10 + [0], after(state))
    assert [(n.kind, n.grave) for n in told] == [("dropped", True)]


def test_the_same_hour_of_earlier_days_decides_where_it_is_known() -> None:
    state = SourceState(source=SOURCE)
    day = [10] * 60 * 12 + [1] * 60 * 12  # busy, then quiet: the quiet half is no drop
    first, *rest = [looks(state, day, BEGIN + dt.timedelta(days=number)) for number in range(6)]
    assert [n.kind for n in first if n.kind == "silent"] == []
    assert [n for later in rest[3:] for n in later] == []


def test_a_small_source_has_no_baseline() -> None:
    state = SourceState(source=SOURCE)
    assert looks(state, ([1] * 60) * 20 + [0, 0, 0, 0, 0, 0, 0, 0, 0, 1] * 6 + [1]) == []


def test_counts_that_were_reset_do_not_hide_growth() -> None:
    state = habit()
    assert observe(state, 3, after(state), LIMITS) == []
    assert state.count == 3


@given(st.lists(st.integers(0, 3), max_size=400), st.integers(1, 30))
def test_every_recovery_ends_what_was_told_before_and_nothing_is_told_twice(counts: list[int], every: int) -> None:
    state = habit(every=every, times=25)
    open_incidents: set[str] = set()
    for notice in looks(state, counts, after(state)):
        if notice.kind == "recovered":
            assert open_incidents
            open_incidents.pop()
        else:
            assert notice.kind not in open_incidents
            open_incidents.add(notice.kind)


def test_a_backlog_that_does_not_shrink_is_told_and_its_end_as_well() -> None:
    state = LagState(role="index")
    told = []
    for minute, waiting in enumerate([2000 + 10 * n for n in range(15)] + [900]):
        told += observe_lag(state, waiting, BEGIN + dt.timedelta(minutes=minute), LIMITS)
    assert [(n.kind, n.about, n.number) for n in told] == [("lag", "index", 2100), ("recovered", "index", 0)]


def test_a_backlog_that_shrinks_or_is_small_is_not_told() -> None:
    for series in ([5000 - 10 * n for n in range(30)], [900] * 30, [0, 5000, 0] * 10):
        state = LagState(role="seal")
        told = [
            notice
            for minute, waiting in enumerate(series)
            for notice in observe_lag(state, waiting, BEGIN + dt.timedelta(minutes=minute), LIMITS)
        ]
        assert told == []


def test_an_alert_names_source_begin_and_the_blind_rules() -> None:
    notice = Notice(kind="silent", about=SOURCE, since=1_793_577_600_000, seconds=300)
    found = detection(notice, [f"rule-{n}" for n in range(12)])
    assert found.rule_id in {rule.id for rule in rules()}
    assert found.namespace == "prod"
    assert found.reason == (
        "nothing came from trail (aws.cloudtrail, namespace prod) since 2026-11-02 00:00:00Z (expected: a record every "
        "5 min). 12 rules are blind meanwhile: rule-0, rule-1, rule-2, rule-3, rule-4, rule-5, rule-6, rule-7, rule-8, "
        "rule-9 and 2 more."
    )
    assert detection(notice, []).group_key == found.group_key
