"""From what a correlation found to detections, which suppression counts and lists as always."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence

import msgspec

from detectors.correlation.model import Correlation
from detectors.correlation.state import Alert, Entry, Signal
from detectors.detection import Detection, Match
from detectors.reason import MAX_REASON, clean

MAX_MORE = 1000  # further matches that one detection tells
PLACES = ("count", "measure", "values", "first", "last", "timespan")
"""Places of a reason that the correlation fills; all others are fields of the event that completed it."""

_PLACE = re.compile(r"\{([^{}\s][^{}]*)\}")
_SHOWN_VALUES = 5


def field_places(reason: str) -> tuple[str, ...]:
    """The places of a reason that are fields of the event, in order."""
    return tuple(dict.fromkeys(place for place in _PLACE.findall(reason) if place not in PLACES))


def fold_key(correlation: Correlation, signal: Signal) -> str:
    """What an alert folds on: the group, or the part of it that the rule's `suppression.by` names."""
    if correlation.fold_by is None:
        return signal.group
    return f"[{','.join(signal.by[place] for place in correlation.fold_by)}]"


def alert_id(correlation: Correlation, signal: Signal, cell: str) -> str:
    """Hex SHA-256 that names an alert: the same for every order of arrival and every replay."""
    rule = correlation.rule
    parts = (rule.id, rule.version, signal.namespace, fold_key(correlation, signal), cell)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def detections_of(correlation: Correlation, alert: Alert, more: Sequence[Entry] = ()) -> list[Detection]:
    """What an alert's new members are told by; the first carries what people read.

    Args:
        more: Members that joined since.
    """
    rule, signal = correlation.rule, alert.signal
    face = next((e for e in alert.events if e.member == alert.member), alert.events[-1])
    members: dict[str, Entry] = {}
    for entry in (face, *alert.events, *more):
        members.setdefault(entry.member, entry)  # stages of one action are one member
    rest = [Match(e.member, e.event, moment(e.at)) for e in members.values() if e is not face]
    first = Detection(
        rule_id=rule.id,
        rule_version=rule.version,
        ruleset_version=signal.ruleset_version,
        namespace=signal.namespace,
        format=signal.format,
        group_key=fold_key(correlation, signal),
        window_seconds=correlation.cell_ms // 1000,
        member=face.member,
        event=face.event,
        at=moment(face.at),
        principal=signal.principal,
        reason=word(correlation, alert, more),
        context=signal.context,
        alert=alert_id(correlation, signal, alert.cell),
        more=tuple(rest[:MAX_MORE]),
        count=len(members),
        threshold=_threshold(correlation),
        title=rule.title,
        level=rule.level,
    )
    found = [first]
    for start in range(MAX_MORE, len(rest), MAX_MORE):
        one = rest[start]
        others = tuple(rest[start + 1 : start + MAX_MORE])
        found.append(
            msgspec.structs.replace(first, member=one.member, event=one.event, at=one.at, more=others, context={})
        )
    return found


def word(correlation: Correlation, alert: Alert, more: Sequence[Entry] = ()) -> str:
    """The sentence of an alert: fields of the event that completed it, and what was counted."""
    template = correlation.rule.reason or correlation.rule.title
    words = dict(zip(field_places(template), alert.signal.words, strict=False))
    words |= _counted(correlation, alert, more)
    return clean(_PLACE.sub(lambda place: words.get(place[1], f"(unknown {place[1]})"), template), MAX_REASON)


def moment(at: int) -> dt.datetime:
    """Milliseconds since 1970 as a time in UTC."""
    return dt.datetime.fromtimestamp(at / 1000, dt.UTC)


def _counted(correlation: Correlation, alert: Alert, more: Sequence[Entry]) -> dict[str, str]:
    seen = alert.seen if alert.opens else (*alert.seen, *more)
    count = len({entry.unit or entry.member for entry in seen})
    measure = float(count) if alert.measure is None else alert.measure
    if correlation.rate:
        count = int(measure)
    return {
        "count": str(count),
        "measure": f"{measure:g}" if measure < 1e6 else f"{measure:.0f}",  # noqa: PLR2004 - %g writes larger ones as 1e+06
        "values": _values(seen),
        "first": _clock(seen[0].at),
        "last": _clock(seen[-1].at),
        "timespan": _span(correlation.timespan_ms // 1000),
    }


def _values(entries: tuple[Entry, ...]) -> str:
    found = [clean(str(value)) for value in dict.fromkeys(v for entry in entries for v in entry.values)]
    rest = len(found) - _SHOWN_VALUES
    return ", ".join(found[:_SHOWN_VALUES]) + (f" and {rest} more" if rest > 0 else "")


def _clock(at: int) -> str:
    return moment(at).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(seconds: int) -> str:
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= unit and seconds % unit == 0:
            number = seconds // unit
            return f"{number} {name if number > 1 else name[:-1]}"
    return f"{seconds} seconds"


def _threshold(correlation: Correlation) -> int:
    bound = correlation.threshold.bound if correlation.threshold else 1
    return max(1, int(bound))
