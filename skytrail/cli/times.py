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
        ConfigError: It is neither.
    """
    if not text:
        return None
    if text == "now":
        return now
    if match := _RELATIVE.match(text):
        return now - dt.timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as exc:
        raise ConfigError(
            f"reading time {text!r}: {exc}", mend="use ISO 8601 such as 2026-11-22T10:00:00Z, or an age such as 24h"
        ) from exc
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
