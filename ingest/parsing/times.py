"""Reading the time texts that clouds and their exports write.

ISO 8601 extended and basic, with 0 to 9 decimals, `T` or a blank, `Z`, an offset or no zone; the American forms of
spreadsheets (`12/12/2025 3:03:58 PM`, `Oct 2, 2019 11:12:29 PM`). Decimals beyond microseconds are cut, never rounded:
the exact text stays in the record.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import NamedTuple

NO_ZONE = "no_zone"

_ZONE = r"(?P<zone>Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
_ISO = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})[Tt ]"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<decimals>[0-9]{1,9}))?)? ?" + _ZONE
)
_BASIC = re.compile(
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})[Tt]"
    r"(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?P<second>[0-9]{2})(?:[.,](?P<decimals>[0-9]{1,9}))?" + _ZONE
)
# The blank before AM or PM is U+202F in what newer Java and JavaScript runtimes format.
_CLOCK = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<decimals>[0-9]{1,9}))?)?"
    r"[ \u00a0\u202f]?(?P<half>[AaPp][Mm])(?: ?" + _ZONE + ")"
)
_SLASHED = re.compile(r"(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?P<year>[0-9]{4}),? " + _CLOCK)
_NAMED = re.compile(r"(?P<name>[A-Za-z]{3})[a-z]* (?P<day>[0-9]{1,2}), (?P<year>[0-9]{4}),? " + _CLOCK)
_NAMES = "jan feb mar apr may jun jul aug sep oct nov dec"
_MONTHS = {name: number for number, name in enumerate(_NAMES.split(), start=1)}
LONGEST = 48
"""Characters; no form is longer, so longer texts are not searched."""


class ParsedTime(NamedTuple):
    """A moment in UTC and what was odd about its text.

    Attributes:
        moment: Aware, in UTC, microseconds.
        marks: `no_zone` when the text names no zone and UTC was assumed.
    """

    moment: dt.datetime
    marks: tuple[str, ...]


def parse_time(text: str) -> ParsedTime | None:
    """The moment a text names, or None when it names none (another form, or an impossible date)."""
    if len(text) > LONGEST:
        return None
    stripped = text.strip()
    for form in (_ISO, _BASIC, _SLASHED, _NAMED):
        match = form.fullmatch(stripped)
        if match:
            return _moment(match.groupdict())
    return None


def _moment(parts: dict[str, str | None]) -> ParsedTime | None:
    zone = parts["zone"]
    try:
        local = dt.datetime(
            int(parts["year"] or 0),
            _month(parts),
            int(parts["day"] or 0),
            _hour(parts),
            int(parts["minute"] or 0),
            int(parts["second"] or 0),
            int((parts.get("decimals") or "").ljust(6, "0")[:6]),
            tzinfo=dt.UTC,
        )
        moment = local - _offset(zone)
    except (ValueError, OverflowError):
        return None  # 31 February, hour 25, or a moment before year 1
    return ParsedTime(moment, () if zone else (NO_ZONE,))


def _month(parts: dict[str, str | None]) -> int:
    name = parts.get("name")
    return _MONTHS.get(name.lower(), 0) if name else int(parts["month"] or 0)


def _hour(parts: dict[str, str | None]) -> int:
    hour = int(parts["hour"] or 0)
    half = parts.get("half")
    if not half:
        return hour
    if not 1 <= hour <= 12:  # noqa: PLR2004 - a clock with two halves
        raise ValueError("hour of a twelve-hour clock out of range")
    return hour % 12 + (12 if half in ("PM", "pm", "Pm", "pM") else 0)


def _offset(zone: str | None) -> dt.timedelta:
    if not zone or zone in ("Z", "z"):
        return dt.timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - RFC 3339 §5.6
        raise ValueError("offset out of range")
    size = dt.timedelta(hours=hours, minutes=minutes)
    return -size if zone[0] == "-" else size
