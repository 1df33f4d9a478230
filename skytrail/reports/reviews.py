"""Sign-offs of log reviews: which days and weeks a period has, and which of them nobody signed. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest.schema.action import Action
from ingest.schema.errors import ConfigError

DAILY, WEEKLY = "daily", "weekly"
ACTION = "report.sign-off"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WEEK = re.compile(r"(\d{4})-W(\d{2})")


@dataclass(frozen=True, slots=True)
class SignOff:
    """A statement that somebody reviewed something."""

    what: str
    period: str
    who: str
    at: dt.datetime
    comment: str


def check_period(what: str, period: str) -> None:
    """Refuse a day or week that is none; a sign-off for it would count for nothing.

    Raises:
        ConfigError: Saying how to write it.
    """
    if what not in (DAILY, WEEKLY):
        return
    try:
        ends_of(what, period)
    except ValueError as exc:
        mend = "write a day as 2026-11-26, a week as 2026-W48"
        raise ConfigError(f"signing off: {period!r} is no period of a {what} review", mend=mend) from exc


def ends_of(what: str, period: str) -> dt.datetime:
    """When a day or week is over (UTC): nobody can have reviewed it before.

    Raises:
        ValueError: It is none.
    """
    if what == DAILY and _DAY.fullmatch(period):
        day, days = dt.date.fromisoformat(period), 1
    elif what == WEEKLY and (found := _WEEK.fullmatch(period)):
        day, days = dt.date.fromisocalendar(int(found[1]), int(found[2]), 1), 7
    else:
        raise ValueError(period)
    return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(days=days)


def periods(what: str, start: dt.datetime, end: dt.datetime) -> list[str]:
    """The days or weeks (ISO 8601, UTC) that begin in a span and are over at its end."""
    return list(_periods(what, start.astimezone(dt.UTC), end.astimezone(dt.UTC)))


def _periods(what: str, start: dt.datetime, end: dt.datetime) -> Iterator[str]:
    day = start.date() if start.time() == dt.time() else start.date() + dt.timedelta(days=1)
    step = 1
    if what == WEEKLY:
        step, day = 7, day + dt.timedelta(days=-day.weekday() % 7)
    while dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(days=step) <= end:
        yield day.isoformat() if what == DAILY else "{}-W{:02d}".format(*day.isocalendar())
        day += dt.timedelta(days=step)


def sign_off_of(action: Action) -> SignOff | None:
    """The sign-off that an action was; None where it is none, failed, or was made too early."""
    if action.name != ACTION or action.outcome != "success":
        return None
    period, comment = (str(action.details.get(name, "")) for name in ("period", "comment"))
    found = SignOff(action.target, period, action.actor, action.at, comment)
    try:
        early = found.what in (DAILY, WEEKLY) and found.at < ends_of(found.what, found.period)
    except ValueError:
        return None
    return None if early else found


def reviewed(kind: str, signed: Iterable[SignOff]) -> dict[str, SignOff]:
    """The first sign-off of each period of a kind. A week of which each day was signed off was reviewed, too."""
    own: dict[str, SignOff] = {}
    days: dict[str, SignOff] = {}
    for each in signed:
        (own if each.what == kind else days if each.what == DAILY else {}).setdefault(each.period, each)
    if kind == WEEKLY:
        for name in {_week_of(day) for day in days}:
            first = ends_of(WEEKLY, name) - dt.timedelta(days=7)
            week = [days.get(f"{first + dt.timedelta(days=at):%Y-%m-%d}") for at in range(7)]
            if name not in own and (all_days := [each for each in week if each]) and len(all_days) == len(week):
                own[name] = max(all_days, key=lambda each: each.at)
    return own


def _week_of(day: str) -> str:
    return "{}-W{:02d}".format(*dt.date.fromisoformat(day).isocalendar())
