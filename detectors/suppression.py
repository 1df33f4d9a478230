"""Folds detections of one rule and one group into alerts, with an exact count. Event time only, no clock.

An alert opens with its first member at once. Members whose event time is less than the window away from the time of the
first one, before or after, fold into it; any other opens the next alert. A member that is known already (a replay, a
redelivery, another stage of one action) changes nothing. The alerts of a group that took members last are remembered,
with all their members, so that replays and late events find their alert, also while an older log is read beside the
present one. An alert that holds `MAX_MEMBERS` takes no more, and the next member opens a new one. So every member
belongs to exactly one alert as long as its alert is remembered.

A state that was given to `step` or `fold` must not be used again: its sets of members grow in place.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

import msgspec

from detectors.detection import Detection, EventRef, Match, title_context
from ingest.schema.envelope import Position

MAX_MEMBERS = 100_000  # of one alert, kept exactly
MAX_EVENTS = 200  # events an alert's state lists
KEPT_WINDOWS = 2  # the open alert and the one before it, or that of another time which is read meanwhile


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of a group.

    Attributes:
        start: Event time of the member that opened it; with the window's length it says which members fold.
        first: Earliest event time of its members.
        last: Latest event time of its members.
        count: Number of different members.
        members: All of them.
        events: The first `MAX_EVENTS` matched events, in the order in which they came.
        opened_by: The detection that opened it, without what only the alert's own document needs.
        position: Where that detection lies in Kafka.
    """

    alert_id: str
    start: dt.datetime
    first: dt.datetime
    last: dt.datetime
    count: int
    members: set[str]
    events: tuple[EventRef, ...]
    opened_by: Detection
    position: Position | None = None

    @property
    def until(self) -> dt.datetime:
        """End of the suppression."""
        return self.start + dt.timedelta(seconds=self.opened_by.window_seconds)

    @property
    def room(self) -> int:
        """How many more members it takes."""
        return MAX_MEMBERS - self.count

    def takes(self, detection: Detection) -> bool:
        """Whether a new member belongs here."""
        if detection.alert or self.opened_by.alert:
            return detection.alert == self.opened_by.alert and self.room > 0
        length = dt.timedelta(seconds=detection.window_seconds)
        return abs(detection.at - self.start) < length and self.room > 0


class GroupState(msgspec.Struct, frozen=True):
    """The alerts of one (rule, namespace, group) that are remembered, the one that took a member last first."""

    windows: tuple[Window, ...] = ()

    @property
    def expires(self) -> dt.datetime | None:
        """Event time after which nothing that is not late can fold any more; the owner may forget the state then."""
        return max((window.until for window in self.windows), default=None)


@dataclass(frozen=True, slots=True)
class Opened:
    """A new alert."""

    window: Window

    @property
    def alert_id(self) -> str:
        """Id of the alert."""
        return self.window.alert_id


@dataclass(frozen=True, slots=True)
class Folded:
    """A new member of an alert that was told before."""

    window: Window

    @property
    def alert_id(self) -> str:
        """Id of the alert."""
        return self.window.alert_id

    @property
    def count(self) -> int:
        """Members of the alert, this one included."""
        return self.window.count


@dataclass(frozen=True, slots=True)
class Known:
    """A member that was counted before; the window is unchanged."""

    window: Window

    @property
    def alert_id(self) -> str:
        """Id of the alert."""
        return self.window.alert_id


Outcome = Opened | Folded | Known


def state_key(detection: Detection) -> tuple[str, str, str]:
    """Which state a detection belongs to: (rule id, namespace, group key), and its alert where it knows that."""
    group = f"{detection.group_key}\n{detection.alert}" if detection.alert else detection.group_key
    return detection.rule_id, detection.namespace, group


def step(
    state: GroupState | None, detection: Detection, position: Position | None = None
) -> tuple[GroupState, Outcome]:
    """Take a detection with one match; as `fold`."""
    state, outcomes = fold(state, detection, position)
    return state, outcomes[-1]


def fold(
    state: GroupState | None, detection: Detection, position: Position | None = None
) -> tuple[GroupState, list[Outcome]]:
    """Take one detection of a group.

    Args:
        state: What the call before gave; None for the first.
        detection: One of this rule, namespace and group.
        position: Where the detection lies, kept with the alert it opens.

    Returns:
        The new state, and an outcome for each alert it has to do with.
    """
    windows = list(state.windows) if state else []
    news = {m.member: m for m in detection.matches if not any(m.member in window.members for window in windows)}
    if not news:
        known = next(w for w in windows for m in detection.matches if m.member in w.members)
        return GroupState(tuple(windows)), [Known(known)]
    outcomes: list[Outcome] = []
    waiting = list(news.values())
    for window in tuple(windows):
        if waiting and window.takes(detection):
            grown = _grown(window, waiting[: window.room])
            del waiting[: window.room]
            windows.remove(window)
            windows.insert(0, grown)
            outcomes.append(Folded(grown))
    while waiting:
        opened = _opened(detection, waiting[:MAX_MEMBERS], position, windows)
        del waiting[:MAX_MEMBERS]
        windows.insert(0, opened)
        outcomes.append(Opened(opened))
    return GroupState(tuple(windows[:KEPT_WINDOWS])), outcomes


def alert_id(detection: Detection) -> str:
    """Hex SHA-256 that names the alert which this detection opens; a replay in equal order gives the same."""
    return detection.alert or _hashed(detection, Match(detection.member, detection.event, detection.at))


def _hashed(detection: Detection, first: Match) -> str:
    parts = (
        detection.rule_id,
        detection.rule_version,
        detection.group_key,
        detection.namespace,
        first.at.astimezone(dt.UTC).isoformat(),
        first.member,
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _opened(detection: Detection, news: list[Match], position: Position | None, windows: list[Window]) -> Window:
    """A new alert; where the one that a correlation names is full, another with the same face."""
    first, name, face = news[0], alert_id(detection), detection
    full = next((window for window in windows if window.alert_id == name), None)
    if full is not None:
        name, face = _hashed(detection, first), msgspec.structs.replace(full.opened_by, alert=detection.alert)
    empty = Window(
        alert_id=name,
        start=first.at,
        first=first.at,
        last=first.at,
        count=0,
        members=set(),
        events=(),
        opened_by=msgspec.structs.replace(face, more=(), context=title_context(face.context)),
        position=position,
    )
    return _grown(empty, news)


def _grown(window: Window, news: list[Match]) -> Window:
    window.members.update(match.member for match in news)
    events = window.events
    if len(events) < MAX_EVENTS:
        events = (*events, *(match.event for match in news))[:MAX_EVENTS]
    return msgspec.structs.replace(
        window,
        first=min(window.first, *(match.at for match in news)),
        last=max(window.last, *(match.at for match in news)),
        count=window.count + len(news),
        events=events,
    )
