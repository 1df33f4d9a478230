"""Silence, drops and backlogs: what a look at the counts says of a source. Pure; the clock is an argument.

A source is silent when nothing came for `patience` times its expected interval. That interval is stated in the
settings, or learned: the 95th percentile of the pauses it is used to make. Nothing is concluded from time in which
nobody watched: not the pause itself, and not the hours it touches. An hour of the week in which nothing came once may
have been an outage: only twice, with records between, makes a habit.
"""

from __future__ import annotations

import datetime as dt
import math
import statistics
from typing import Literal

import msgspec

from detectors.source_watch.state import (
    HOUR_MS,
    KEPT_GAPS,
    KEPT_HOURS,
    USUAL_HOURS,
    WEEK_HOURS,
    LagState,
    Limits,
    SourceState,
    milliseconds,
)
from ingest.schema.action import FORMAT_NAME

LEARNED_GAPS = 20
"""So many pauses make a habit."""
EXPECTED_SHARE = 0.8
"""An hour says nothing if it usually brings less than this share of one record in each expected interval."""
RAGGED_S = 4 * 3600.0
"""Granted at both ends of a pause: people are late, and the hours beside busy ones count as busy."""
TAIL_HOURS = (1, 2)
"""So far before a rest a pause may be its begin: the last records of a day can fall into an hour of their own."""
LEARNED_DAYS = 3
LEARNED_HOURS = 12
PAGE_BELOW = 0.1
WARN_BELOW = 0.5

Kind = Literal["silent", "dropped", "recovered", "lag"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What the watch has to say.

    Attributes:
        about: The source, or the role whose lag grows.
        since: Begin of what it tells of; with `kind` and `about` it names the incident.
        seconds: Of a silence: how long was expected; of a recovery: how long it lasted; of a lag: the window.
        number: Of a drop: records of the hour; of a lag: messages waiting.
        usual: Of a drop: what the hour usually brings; of a lag: messages that waited at the window's begin.
        grave: Whether somebody should be woken.
        rested: Of a silence: it began like a usual pause, and what usually ends that did not come.
    """

    kind: Kind
    about: str
    since: int
    seconds: float = 0.0
    number: int = 0
    usual: int = 0
    grave: bool = True
    rested: bool = False


def observe(state: SourceState, count: int, now: dt.datetime, limits: Limits, *, beside: int = 0) -> list[Notice]:
    """Take a look at a source's count; the state is changed in place.

    Args:
        state: Of the source.
        count: Records received from it in all; a smaller one than before means that accounts were reset.
        now: Time of the look.
        limits: When to speak.
        beside: When another format of the same sender was last seen to grow, milliseconds since 1970; 0: none.
    """
    at = milliseconds(now)
    if at - state.looked_at > 4000 * limits.look_interval_s:
        state.watched_since = at
        state.hours.pop(state.looked_at // HOUR_MS, None)
    before = state.looked_at or at
    state.looked_at = at
    notices: list[Notice] = []
    grown = count - state.count if count >= state.count else count
    state.count = count
    if not state.retired_at:
        notices += _dropped(state, before, at, limits)
    _keep_hour(state, grown, at)
    if grown:
        notices += _grew(state, at)
    elif not state.retired_at:
        notices += _silence(state, at, limits, beside)
    return notices


def expected_s(state: SourceState, limits: Limits) -> float:
    """The interval in which something is expected of a source; 0 when it is not known."""
    if (stated := _stated_s(state, limits)) is not None:
        return stated
    if len(state.gaps) < LEARNED_GAPS:
        return 0.0
    return statistics.quantiles(state.gaps, n=20)[-1]


def tolerated_s(state: SourceState, limits: Limits) -> float:
    """Seconds after which silence is told: never of what people do with Skytrail itself, unless it is stated."""
    if state.format == FORMAT_NAME and _stated_s(state, limits) is None:
        return math.inf
    expected = expected_s(state, limits)
    return max(limits.minimum_silence_s, limits.patience * expected) if expected else limits.unlearned_silence_s


def _stated_s(state: SourceState, limits: Limits) -> float | None:
    stated = (limits.expected_s.get(name) for name in (state.sender, state.collector))
    return next((seconds for seconds in stated if seconds is not None), None)


def observe_lag(state: LagState, waiting: int, now: dt.datetime, limits: Limits) -> list[Notice]:
    """Take a look at what a role has not done yet; the state is changed in place."""
    at = milliseconds(now)
    window = int(limits.lag_window_s * 1000)
    state.samples = [sample for sample in state.samples if sample[0] > at - window - 2000 * limits.look_interval_s]
    state.samples.append((at, waiting))
    first = state.samples[0]
    if state.growing_since:
        if waiting >= limits.lag_minimum:
            return []
        told, state.growing_since = state.growing_since, 0
        return [Notice(kind="recovered", about=state.role, since=told, seconds=(at - told) / 1000, grave=False)]
    if at - first[0] < window or min(number for _, number in state.samples) < limits.lag_minimum or waiting < first[1]:
        return []
    state.growing_since = first[0]
    return [
        Notice(
            kind="lag",
            about=state.role,
            since=first[0],
            seconds=limits.lag_window_s,
            number=waiting,
            usual=first[1],
        )
    ]


def _grew(state: SourceState, at: int) -> list[Notice]:
    """Records came: learn the pause, and end a silence."""
    if state.grew_at >= state.watched_since and not state.silent_since:
        state.gaps = [*state.gaps, (at - state.grew_at) / 1000][-KEPT_GAPS:]
    state.grew_at = at
    if not state.silent_since:
        return []
    since, state.silent_since = state.silent_since, 0
    return [Notice(kind="recovered", about=state.source, since=since, seconds=(at - since) / 1000, grave=False)]


def _silence(state: SourceState, at: int, limits: Limits, beside: int) -> list[Notice]:
    if state.silent_since or not (state.count or state.awaited):
        return []
    if expected_s(state, limits) == 0 and at - beside <= 1000 * limits.unlearned_silence_s:
        return []  # its sender is there, and how rare such records are is not known yet
    quiet, rested = _quiet_s(state, at, limits)
    if quiet <= tolerated_s(state, limits):
        return []
    state.silent_since = state.grew_at or state.watched_since
    expected = expected_s(state, limits)
    return [Notice(kind="silent", about=state.source, since=state.silent_since, seconds=expected, rested=rested)]


def _quiet_s(state: SourceState, at: int, limits: Limits) -> tuple[float, bool]:
    """Seconds without a record, and whether it rested first: hours that usually bring nothing do not count."""
    begin = max(state.grew_at, state.watched_since)
    expected = expected_s(state, limits)
    if _stated_s(state, limits) is not None or not 0 < expected * 1000 < HOUR_MS:
        return (at - begin) / 1000, False
    busy = EXPECTED_SHARE * limits.patience * HOUR_MS / 1000 / tolerated_s(state, limits)
    hours = range(max(begin, at - USUAL_HOURS * HOUR_MS) // HOUR_MS, at // HOUR_MS + 1)
    counted = [hour for hour in hours if _brings(state, hour) >= busy]
    quiet = sum(min(at, (hour + 1) * HOUR_MS) - max(begin, hour * HOUR_MS) for hour in counted) / 1000
    rested = len(counted) < len(hours)
    if rested or any(_brings(state, hours[-1] + ahead) < busy for ahead in TAIL_HOURS):
        quiet -= RAGGED_S
    return quiet, rested


def _brings(state: SourceState, hour: int) -> float:
    """What an hour usually brings, with those around it: a source that is slow does not keep to hours."""
    return sum(_brought(state, each) for each in (hour - 1, hour, hour + 1)) / 3


def _brought(state: SourceState, hour: int) -> float:
    """What the hour of the week brings; until that is known, the most of what the same hour of the last days did."""
    weekly, since = _weekly(state, hour), 0
    if weekly == math.inf:
        since = next((each for each in range(hour - WEEK_HOURS, hour) if state.hours.get(each)), hour)
    elif weekly is not None:
        return weekly
    days = range(hour - 24, hour - USUAL_HOURS, -24)
    return max((state.hours[each] for each in days if each >= since and each in state.hours), default=math.inf)


def _weekly(state: SourceState, hour: int) -> float | None:
    """The more of what the same hour brought in the last two weeks; None if one is unknown.

    Infinite where nothing came from the one to the other: one long outage is no habit, and no day of it tells anything.
    """
    before, earlier = state.hours.get(hour - WEEK_HOURS), state.hours.get(hour - 2 * WEEK_HOURS)
    if before is None or earlier is None:
        return None
    between = range(hour - WEEK_HOURS - 1, hour - 2 * WEEK_HOURS, -1)
    return max(before, earlier) or (0 if any(state.hours.get(each) for each in between) else math.inf)


def _keep_hour(state: SourceState, grown: int, at: int) -> None:
    """Add to the running hour, if it is watched from its begin."""
    hour = at // HOUR_MS
    if state.watched_since <= hour * HOUR_MS:
        state.hours[hour] = state.hours.get(hour, 0) + grown
    for old in [kept for kept in state.hours if kept <= hour - KEPT_HOURS]:
        del state.hours[old]


def _dropped(state: SourceState, before: int, at: int, limits: Limits) -> list[Notice]:
    """Judge the hour that ended between two looks."""
    ended = before // HOUR_MS
    if at // HOUR_MS == ended or ended not in state.hours:
        return []
    usual = _usual(state, ended)
    if usual < limits.baseline_minimum:
        return []
    share = state.hours[ended] / usual
    if share >= WARN_BELOW:
        told, state.dropped_at = state.dropped_at, 0
        back = Notice(kind="recovered", about=state.source, since=told, seconds=(at - told) / 1000, grave=False)
        return [back] if told else []
    if state.dropped_at or state.silent_since:
        return []
    state.dropped_at = ended * HOUR_MS
    return [
        Notice(
            kind="dropped",
            about=state.source,
            since=state.dropped_at,
            number=state.hours[ended],
            usual=usual,
            grave=share < PAGE_BELOW,
        )
    ]


def _usual(state: SourceState, ended: int) -> int:
    """What such an hour brings: the median of the same hour on earlier days, else of the hours before; 0 if unknown.

    Not more than what that hour of the week brings: people do not work every day.
    """
    days = [state.hours[hour] for hour in range(ended - 24, ended - USUAL_HOURS, -24) if hour in state.hours]
    if len(days) >= LEARNED_DAYS:
        weekly = _weekly(state, ended)
        return int(min(statistics.median(days), math.inf if weekly is None else weekly))
    earlier = [number for hour, number in state.hours.items() if ended - 24 <= hour < ended]
    return int(statistics.median(earlier)) if len(earlier) >= LEARNED_HOURS else 0
