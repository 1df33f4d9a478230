"""Names of indices: `logs-<dataset>-<namespace>-<period>`, where the period follows from the event alone.

So a record has one index for ever, `_id` is unique across replays, and expiry is dropping an index. The parts follow
Elastic's data stream naming scheme: https://www.elastic.co/docs/reference/fleet/data-streams
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ingest.schema.errors import ConfigError
from storage.settings import Period

ALERT_DATASET: Final = "skytrail.alert"
ALERT_STATE_INDEX: Final = "skytrail-alert-state"
OWN_DATASETS: Final = "skytrail.*"
"""Data sets that we write about ourselves; a search for events leaves them out."""
OWN_ACTIONS: Final = "skytrail.audit"
"""That of them which is made of sealed records."""

MAX_PART_CHARS: Final = 100
_FORBIDDEN = re.compile(r'[-\\/*?"<>|,# :]')
_NAME = re.compile(
    r"logs-(?P<dataset>[^-]+)-(?P<namespace>[^-]+)-(?P<period>\d{4}\.(?:w\d{2}|\d{2}\.\d{2}|\d{2}))\Z", re.ASCII
)
_DEFAULT_PERIODS: Final[dict[str, Period]] = {ALERT_DATASET: "month"}


@dataclass(frozen=True, slots=True)
class IndexName:
    """A parsed index name; `start` (inclusive) and `end` (exclusive) are the UTC days of its period."""

    dataset: str
    namespace: str
    period: Period
    start: dt.date
    end: dt.date

    def __str__(self) -> str:
        return f"logs-{self.dataset}-{self.namespace}-{_label(self.start, self.period)}"


def period_of(dataset: str, configured: Mapping[str, Period]) -> Period:
    """The period of a data set: the configured one, else a month for alerts and a day for everything else."""
    return configured.get(dataset) or _DEFAULT_PERIODS.get(dataset, "day")


def index_name(dataset: str, namespace: str, event_time: dt.datetime, period: Period = "day") -> str:
    """The index of an event.

    Args:
        dataset: Elastic's data set, `aws.cloudtrail`.
        namespace: Tenant or business unit; checked by `check_namespace` where it enters.
        event_time: `@timestamp`, with a time zone; the period is that of its UTC day.
        period: See `period_of`.

    Raises:
        ValueError: `event_time` has no time zone.
    """
    if event_time.tzinfo is None:
        raise ValueError("event_time has no time zone")
    return f"logs-{dataset}-{namespace}-{_label(event_time.astimezone(dt.UTC).date(), period)}"


def pattern(dataset: str | None = None, namespace: str | None = None) -> str:
    """The index pattern of a data set and namespace; None stands for all."""
    return f"logs-{dataset or '*'}-{namespace or '*'}-*"


def parse(name: str) -> IndexName | None:
    """The parts of an index name that we could have written, else None (also for 2026.13 or 2026.02.30)."""
    match = _NAME.match(name)
    if not match or naming_fault(match["dataset"]) or naming_fault(match["namespace"]):
        return None
    label = match["period"]
    year, rest = int(label[:4]), label[5:]
    try:
        if rest.startswith("w"):
            start = dt.date.fromisocalendar(year, int(rest[1:]), 1)
            return IndexName(match["dataset"], match["namespace"], "week", start, start + dt.timedelta(days=7))
        if "." in rest:
            month, day = rest.split(".")
            start = dt.date(year, int(month), int(day))
            return IndexName(match["dataset"], match["namespace"], "day", start, start + dt.timedelta(days=1))
        start = dt.date(year, int(rest), 1)
        after = (start + dt.timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError):
        return None
    return IndexName(match["dataset"], match["namespace"], "month", start, after)


def naming_fault(part: str) -> str:
    """What is wrong with a data set or namespace as part of an index name, in words; empty when nothing is."""
    if not part:
        return "it is empty"
    if len(part) > MAX_PART_CHARS:
        return f"it is longer than {MAX_PART_CHARS} characters"
    if part != part.lower():
        return "it has capital letters"
    if found := _FORBIDDEN.search(part):
        return f"it contains {found.group()!r}"
    if not (part.isascii() and part.isprintable()):
        return "it has characters beyond printable ASCII"
    return ""


def check_namespace(namespace: str) -> str:
    """The namespace, when it may be part of index names, archive paths and permissions.

    Raises:
        ConfigError: It may not; the message says why.
    """
    if fault := naming_fault(namespace):
        raise ConfigError(
            f"checking namespace {namespace!r}: {fault}",
            mend="use lower-case letters, digits, `_` and `.`; no `-`, for instance `default` or `aws_123456789012`",
        )
    return namespace


def _label(day: dt.date, period: Period) -> str:
    if period == "week":
        iso = day.isocalendar()  # the ISO year differs from the calendar year around New Year
        return f"{iso.year:04d}.w{iso.week:02d}"
    month = f"{day.year:04d}.{day.month:02d}"
    return month if period == "month" else f"{month}.{day.day:02d}"
