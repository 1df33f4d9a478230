"""What each test of a rule means for one value of an event. The oracle of every engine.

Decisions where the Sigma specification is silent or engines differ (reference: data-traps §7):

* Text compares ignoring case (`str.lower` of both sides) unless `cased`. Numbers and booleans are compared as texts
  when the rule gives a text: `"5"` matches 5, `"true"` matches true. An integral float is written without fraction.
* Null is no value: no text, not even `*`, matches it. `field: ''` matches the empty text only.
* An object is compared as its compact JSON, keys in the order of the event (as the empty text when it is nested beyond
  what Python can write); a list stands for its elements, so one element has to pass on its own.
* A number in a rule equals a number, or a text that is spelled exactly like it; a boolean is not a number.
* `lt`, `lte`, `gt`, `gte` also read numbers that are written as texts (`-1.5e3`; not `1_000`, not other digits than
  ASCII); anything else is false, never an error. Numbers are compared as they are written, however long, not as the
  nearest that fits 64 bits.
* `exists` asks whether the field is there, whatever its value: null and the empty list are there, too.
* `cidr` is false on what is no address (with port, with leading zeros, a host name). `::ffff:1.2.3.4` is 1.2.3.4, in an
  event and in a network: `::ffff:10.0.0.0/104` is 10.0.0.0/8, and no other network of IPv6 contains an IPv4 address.
* `re` is RE2 (linear in the text, so no text can stall it and none has to be cut); it searches, it does not anchor.
* Time parts are those of the time in UTC; a time without zone counts as UTC, a number as seconds since 1970, and as
  milliseconds from 10¹¹ on.
* `fieldref` compares texts ignoring case; an absent or null field on either side is false.
"""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import re2  # type: ignore[import-untyped]

from detectors.sigma.ast import Boolean, Cidr, Compare, Number, Order, Regex, Text, TimePart, Wild

_MILLISECONDS_FROM = 1e11  # 1973 in milliseconds, the year 5138 in seconds
_MANY_BITS = 4096  # Python refuses to write longer integers in decimal

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

ValueTest = Text | Number | Boolean | Regex | Cidr | Compare | TimePart


def passes(value: Any, test: ValueTest) -> bool:
    """Whether one value that is not a list passes a test."""
    if value is None:
        return False
    if isinstance(test, Text):
        return matches_text(value if isinstance(value, str) else text_of(value), test)
    match test:
        case Number(number):
            return _equals_number(value, number)
        case Boolean(expected):
            return value is expected or (isinstance(value, str) and value.lower() == str(expected).lower())
        case Regex(pattern, flags):
            return _searches(compiled(pattern, flags), text_of(value))
        case Cidr(network):
            return _in_network(text_of(value), network)
        case Compare(order, number):
            return _ordered(number_of(value), order, _bound(number))
        case TimePart(unit, order, number):
            moment = _time_of(value)
            return moment is not None and _ordered(_part(moment, unit), order, number)


def text_of(value: Any) -> str:
    """A value as the text that patterns see."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() < _MANY_BITS else hex(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)  # noqa: PLR2004
    if isinstance(value, Mapping):
        return _compact(value)
    return str(value)


def _compact(value: Mapping[str, Any]) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except (ValueError, RecursionError):  # nested or numbers longer than Python writes
        return ""


def matches_text(text: str, test: Text) -> bool:
    """Whether the whole text matches; linear in practice: each piece between `*` is sought once, from the left."""
    if not test.cased:
        text = text.lower()
    pieces = pieces_of(test)
    if len(pieces) == 1:
        return len(text) == len(pieces[0]) and _fits(text, 0, pieces[0])
    first, *middle, last = pieces
    end = len(text) - len(last)
    if end < len(first) or not _fits(text, 0, first) or not _fits(text, end, last):
        return False
    place = len(first)
    for piece in middle:
        place = _seek(text, place, end, piece)
        if place < 0:
            return False
        place += len(piece)
    return True


Piece = tuple[str | None, ...] | str
"""What stands between two `*`: a text, or its characters with None for `?`."""


@functools.lru_cache(maxsize=65536)
def pieces_of(test: Text) -> tuple[Piece, ...]:
    """What stands before, between and after each `*`; lower-cased unless the test is cased."""
    pieces: list[list[str | None]] = [[]]
    for part in test.parts:
        if part is Wild.MANY:
            pieces.append([])
        elif part is Wild.ONE:
            pieces[-1].append(None)
        else:
            assert isinstance(part, str)
            pieces[-1].extend(part if test.cased else part.lower())
    return tuple(tuple(p) if None in p else "".join(str(c) for c in p) for p in pieces)


def _fits(text: str, place: int, piece: Piece) -> bool:
    if isinstance(piece, str):
        return text.startswith(piece, place)
    return all(want is None or text[place + i] == want for i, want in enumerate(piece))


def _seek(text: str, start: int, end: int, piece: Piece) -> int:
    """First place in text[start:end] where the whole piece fits, or -1."""
    if isinstance(piece, str):
        return text.find(piece, start, end)
    for place in range(start, end - len(piece) + 1):
        if _fits(text, place, piece):
            return place
    return -1


@functools.lru_cache(maxsize=16384)
def compiled(pattern: str, flags: str) -> Any:
    """The RE2 program of a pattern.

    Raises:
        re2.error: The pattern is not RE2 (look-around, back-reference) or too large.
    """
    options = re2.Options()
    options.log_errors = False
    return re2.compile(f"(?{flags})({pattern})" if flags else pattern, options)


def _searches(program: Any, text: str) -> bool:
    try:
        return program.search(text) is not None
    except UnicodeEncodeError:  # lone surrogates: RE2 reads UTF-8
        return program.search(text.encode("utf-8", "replace").decode()) is not None


def _equals_number(value: Any, number: float) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return value == number
    return isinstance(value, str) and value == text_of(number)


@functools.lru_cache(maxsize=4096)
def _network(network: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(network)


def _in_network(text: str, network: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address in _network(network)


def number_of(value: Any) -> int | Decimal | None:
    """The number that a value is, or is written in it, exactly; None for anything else, also for no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int):
        return value
    written = repr(value) if isinstance(value, float) else value.strip()
    if not _NUMBER.fullmatch(written):
        return None
    try:
        return Decimal(written)
    except InvalidOperation:  # an exponent beyond all bounds
        return None


@functools.lru_cache(maxsize=4096)
def _bound(number: float) -> int | Decimal | None:
    return number_of(number)


def _ordered(found: int | Decimal | None, order: Order, bound: float | Decimal | None) -> bool:
    if found is None or bound is None:
        return False
    match order:
        case "=":
            return found == bound
        case "<":
            return found < bound
        case "<=":
            return found <= bound
        case ">":
            return found > bound
        case ">=":
            return found >= bound


def _time_of(value: Any) -> dt.datetime | None:
    try:
        if isinstance(value, str):
            moment = dt.datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return dt.datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLISECONDS_FROM else value, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _part(moment: dt.datetime, unit: str) -> int:
    return moment.isocalendar().week if unit == "week" else int(getattr(moment, unit))
