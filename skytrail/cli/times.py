"""Points in time on the command line."""

from __future__ import annotations

import datetime as dt
import re

from ingest.schema.errors import ConfigError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_RELATIVE = re.compile(r"^(\d+)([smhdw])$")


def moment(text: str | None, now: dt.datetime) -> dt.datetime | None:
    """A point in time: ISO 8601 (UTC when it names no zone), `now`, or an age such as 24h, 7d.

    Raises:
        ConfigError: It is neither, or before all times.
    """
    if not text:
        return None
    if text == "now":
        return now
    if match := _RELATIVE.match(text):
        return _before(text, int(match[1]) * _UNITS[match[2]], now)
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as exc:
        raise ConfigError(
            f"reading time {text!r}: {exc}", mend="use ISO 8601 such as 2026-11-22T10:00:00Z, or an age such as 24h"
        ) from exc
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def stretch(start: str | None, end: str | None, now: dt.datetime) -> tuple[dt.datetime | None, dt.datetime | None]:
    """What `--from` and `--to` say; None where one is not given.

    Raises:
        ConfigError: One is no time, or no time lies between them: nothing would be found, and nothing be said of it.
    """
    since, until = moment(start, now), moment(end, now)
    if since is not None and until is not None and since >= until:
        raise ConfigError(
            f"reading times: no time lies between --from {start} and --to {end}", mend="give --from the earlier one"
        )
    return since, until


def _before(text: str, seconds: int, now: dt.datetime) -> dt.datetime:
    try:
        return now - dt.timedelta(seconds=seconds)
    except OverflowError as exc:
        raise ConfigError(f"reading time {text!r}: it lies before all times", mend="leave it out") from exc
