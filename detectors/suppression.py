"""Folds detections of one rule and one group into alerts, with an exact count. A pure step; event time only.

An alert opens with its first member at once. Members whose event time is less than the window away from the time of the
first one, before or after, fold into it; any other opens the next alert. A member that is known already (a replay, a
redelivery, another stage of one action) changes nothing. The newest alerts of a group are remembered with all their
members, so that replays and late events find their alert; an alert that holds `MAX_MEMBERS` takes no more, and the next
member opens a new one. So every member belongs to exactly one alert as long as its alert is remembered.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

import msgspec

from detectors.detection import Detection, EventRef
from ingest.schema.envelope import Position

MAX_MEMBERS = 10_000  # of one alert, kept exactly
MAX_EVENTS = 200  # events an alert's state lists
KEPT_WINDOWS = 2  # the open alert and the one before it


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of a group.

    Attributes:
        start: Event time of the member that opened it; with the window's length it says which members fold.
        first: Earliest event time of its members.
        last: Latest event time of its members.
        count: Number of different members.
        members: All of them.
        events: The first `MAX_EVENTS` matched events.
        opened_by: The detection that opened it.
        position: Where that detection lies in Kafka.
    """

    alert_id: str
    start: dt.datetime
    first: dt.datetime
    last: dt.datetime
    count: int
    members: frozenset[str]
    events: tuple[EventRef, ...]
    opened_by: Detection
    position: Position | None = None

    @property
    def until(self) -> dt.datetime:
        """End of the suppression."""
        return self.start + dt.timedelta(seconds=self.opened_by.window_seconds)

    def takes(self, detection: Detection) -> bool:
        """Whether a new member belongs here."""
        if detection.alert or self.opened_by.alert:
            return detection.alert == self.opened_by.alert and self.count < MAX_MEMBERS
        length = dt.timedelta(seconds=detection.window_seconds)
        return abs(detection.at - self.start) < length and self.count < MAX_MEMBERS


class GroupState(msgspec.Struct, frozen=True):
    """The alerts of one (rule, namespace, group) that are remembered, the newest first."""

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
    """Take one detection of a group.

    Args:
        state: What the step before gave; None for the first.
        detection: One of this rule, namespace and group.
        position: Where the detection lies, kept with the alert it opens.
    """
    windows = state.windows if state else ()
    for window in windows:
        if detection.member in window.members:
            return GroupState(windows), Known(window)
    for place, window in enumerate(windows):
        if window.takes(detection):
            grown = _grown(window, detection)
            return GroupState((*windows[:place], grown, *windows[place + 1 :])), Folded(grown)
    opened = _opened(detection, position)
    if any(window.alert_id == opened.alert_id for window in windows):  # the alert it names is full: one more
        opened = msgspec.structs.replace(opened, alert_id=_hashed(detection))
    return GroupState((opened, *windows)[:KEPT_WINDOWS]), Opened(opened)


def alert_id(detection: Detection) -> str:
    """Hex SHA-256 that names the alert which this detection opens; a replay in equal order gives the same."""
    return detection.alert or _hashed(detection)


def _hashed(detection: Detection) -> str:
    parts = (
        detection.rule_id,
        detection.rule_version,
        detection.group_key,
        detection.namespace,
        detection.at.astimezone(dt.UTC).isoformat(),
        detection.member,
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _opened(detection: Detection, position: Position | None) -> Window:
    return Window(
        alert_id=alert_id(detection),
        start=detection.at,
        first=detection.at,
        last=detection.at,
        count=1,
        members=frozenset((detection.member,)),
        events=(detection.event,),
        opened_by=detection,
        position=position,
    )


def _grown(window: Window, detection: Detection) -> Window:
    return msgspec.structs.replace(
        window,
        first=min(window.first, detection.at),
        last=max(window.last, detection.at),
        count=window.count + 1,
        members=window.members | {detection.member},
        events=(*window.events, detection.event) if len(window.events) < MAX_EVENTS else window.events,
    )
