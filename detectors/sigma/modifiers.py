"""What each modifier makes of a value. A value on its way is one of our tests already, or bytes on their way to base64.

A modifier takes a value and gives its alternatives (one of which has to pass), or refuses it with a reason. Modifiers
work from left to right. Four of them are not here, because they are about the whole list of values or have to come
first or last wherever they are written: `expand`, `all`, `neq` and `cased` (see `selections.py`).

Specification: https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html
"""

from __future__ import annotations

import base64
import ipaddress
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from sigma.types import SigmaString, SpecialChars

from detectors.sigma import ast
from detectors.sigma.values import number_of, text_of

MAX_ALTERNATIVES: Final = 1000  # that one value may become

_DASH = re.compile(r"\B[-/\u2013\u2014\u2015]\b")  # before a word, and not inside one
_DASHES = ("-", "/", "\u2013", "\u2014", "\u2015")
_FIRST = (0, 2, 3)  # character that what stands before does not change, by the number of bytes before
_LAST = (None, -3, -2)  # the same for what stands after, by the number of bytes in the last group of three
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
"""IPv4 addresses as IPv6 writes them (RFC 4291 §2.5.5.2)."""
_RANGES: Mapping[ast.TimeUnit, tuple[int, int]] = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "week": (1, 53),
    "month": (1, 12),
    "year": (1, 9999),
}
_WILDCARDS = {SpecialChars.WILDCARD_MULTI: ast.Wild.MANY, SpecialChars.WILDCARD_SINGLE: ast.Wild.ONE}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text in one of the UTF-16 encodings."""

    data: bytes


Value = ast.Test | Encoded
Modifier = Callable[[Value], Sequence[Value]]
Parts = tuple[str | ast.Wild, ...]


class UnfitValueError(ValueError):
    """A value that a modifier can't take; the message says why."""


def parts_of(written: str) -> Parts:
    """A text of a rule with its wildcards; a backslash takes their meaning."""
    return tuple(part if isinstance(part, str) else _WILDCARDS[part] for part in SigmaString(written).s)  # type: ignore[index]


def plain(value: Value, what: str) -> str:
    """The text of a value that must have no wildcards.

    Raises:
        UnfitValueError: It has some, or is no text.
    """
    parts = _text(value, what).parts
    if any(isinstance(part, ast.Wild) for part in parts):
        raise UnfitValueError(f"{what} takes no wildcards")
    return "".join(part for part in parts if isinstance(part, str))


def settled(value: Value) -> ast.Test:
    """A value that all modifiers have worked on.

    Raises:
        UnfitValueError: It is of bytes that no text of a log can hold, or asks for a part that no time has.
    """
    if isinstance(value, ast.TimePart) and not _can_be(value):
        least, most = _RANGES[value.unit]
        asked = "" if value.order == "=" else f"{value.order} "
        raise UnfitValueError(
            f"{value.unit} goes from {least} to {most}, so {asked}{text_of(value.value)} never matches"
        )
    if not isinstance(value, Encoded):
        return value
    try:
        return ast.Text((value.data.decode(),))
    except UnicodeDecodeError:
        raise UnfitValueError("UTF-16 is no text by itself; base64 or base64offset has to follow") from None


def _can_be(part: ast.TimePart) -> bool:
    """Whether any time has such a part."""
    least, most = _RANGES[part.unit]
    match part.order:
        case "=":
            return least <= part.value <= most
        case "<":
            return part.value > least
        case "<=":
            return part.value >= least
        case ">":
            return part.value < most
        case ">=":
            return part.value <= most


def cased(value: Value) -> Value:
    """The value with letter case minded."""
    if isinstance(value, ast.Regex):
        return value  # minds it anyway
    if isinstance(value, ast.FieldReference):
        return replace(value, cased=True)
    return replace(_text(value, "cased"), cased=True)


def _text(value: Value, what: str) -> ast.Text:
    """Numbers and booleans are texts for modifiers of texts; `contains: 46` asks for 46 somewhere."""
    value = settled(value)
    if isinstance(value, ast.Number | ast.Boolean):
        return ast.Text((text_of(value.value),))
    if not isinstance(value, ast.Text):
        raise UnfitValueError(f"{what} takes a text, not {_named(value)}")
    return value


def _number(value: Value, what: str) -> int | float:
    if isinstance(value, ast.Number):
        return value.value
    if isinstance(value, ast.Text):
        number = number_of(plain(value, what))
        if number is not None and number == int(number):
            return int(number)
        if number is not None:
            return float(number)
    raise UnfitValueError(f"{what} takes a number, not {_named(value)}")


def _named(value: Value) -> str:
    if isinstance(value, ast.Null):
        return "null"
    if isinstance(value, ast.Text):
        written = "".join(part.value if isinstance(part, ast.Wild) else part for part in value.parts)
        return f"{written!r}"
    if isinstance(value, ast.Number | ast.Boolean):
        return text_of(value.value)
    return f"what {type(value).__name__.lower()} made"


def _placed(*, starts: bool, ends: bool) -> Modifier:
    """`contains`, `startswith` and `endswith`: where in the text."""
    what = {(True, True): "contains", (True, False): "startswith", (False, True): "endswith"}[starts, ends]

    def modify(value: Value) -> Sequence[Value]:
        if isinstance(value, ast.FieldReference):
            return [replace(value, starts=value.starts or starts, ends=value.ends or ends)]
        if isinstance(value, ast.Regex):  # is sought anywhere by itself
            before, after = ("" if ends else r"\A"), ("" if starts else r"\z")
            return [ast.Regex(f"{before}(?:{value.pattern}){after}" if before or after else value.pattern, value.flags)]
        text = _text(value, what)
        parts = text.parts
        if ends and parts[:1] != (ast.Wild.MANY,):
            parts = (ast.Wild.MANY, *parts)
        if starts and parts[-1:] != (ast.Wild.MANY,):
            parts = (*parts, ast.Wild.MANY)
        return [replace(text, parts=parts)]

    return modify


def _encoded(encoding: str, mark: bytes = b"") -> Modifier:
    def modify(value: Value) -> Sequence[Value]:
        try:
            return [Encoded(mark + plain(value, encoding).encode(encoding))]
        except UnicodeEncodeError:
            raise UnfitValueError("half of a surrogate pair has no encoding") from None

    return modify


def _bytes(value: Value, what: str) -> bytes:
    return value.data if isinstance(value, Encoded) else plain(value, what).encode("utf-8", "surrogatepass")


def _base64(value: Value) -> Sequence[Value]:
    return [ast.Text((base64.b64encode(_bytes(value, "base64")).decode(),))]


def _base64_offset(value: Value) -> Sequence[Value]:
    """The three ways in which a text shows inside a longer one in base64."""
    data = _bytes(value, "base64offset")
    found = [
        base64.b64encode(b" " * before + data).decode()[first : _LAST[(len(data) + before) % 3]]
        for before, first in enumerate(_FIRST)
    ]
    if not all(found):
        raise UnfitValueError("base64offset needs a longer text: this one leaves nothing to look for")
    return [ast.Text((one,)) for one in found]


def _windash(value: Value) -> Sequence[Value]:
    """Each dash before a word as any of those that Windows programs take for one."""
    text = _text(value, "windash")
    choices: list[Sequence[str | ast.Wild]] = []
    count = 1
    for part in text.parts:
        if isinstance(part, ast.Wild):
            choices.append([part])
            continue
        end = 0
        for dash in _DASH.finditer(part):
            choices += [[part[end : dash.start()]], _DASHES]
            end = dash.end()
            count *= len(_DASHES)
        choices.append([part[end:]])
        if count > MAX_ALTERNATIVES:
            raise UnfitValueError(f"its dashes make more than {MAX_ALTERNATIVES} texts; split the value")
    return [replace(text, parts=_joined(chosen)) for chosen in itertools.product(*choices)]


def _joined(parts: Sequence[str | ast.Wild]) -> Parts:
    found: list[str | ast.Wild] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return tuple(found)


def _regex(value: Value) -> Sequence[Value]:
    if not isinstance(value, ast.Regex):  # `selections.py` reads the value of the key's first modifier as it stands
        raise UnfitValueError("re has to be the first modifier")
    return [value]


def _flag(flag: str) -> Modifier:
    def modify(value: Value) -> Sequence[Value]:
        if not isinstance(value, ast.Regex):
            raise UnfitValueError(f"the flag {flag} needs the modifier re before it")
        return [replace(value, flags="".join(sorted({*value.flags, flag})))]

    return modify


def _cidr(value: Value) -> Sequence[Value]:
    try:
        return [ast.Cidr(str(_unmapped(ipaddress.ip_network(plain(value, "cidr")))))]
    except UnfitValueError:
        raise
    except ValueError as exc:
        raise UnfitValueError(f"no network: {exc}") from None


def _unmapped(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The network of IPv4 that one of IPv6 is made of, as the addresses of events are read, too."""
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = int(network.network_address) - int(_MAPPED.network_address)
        return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED.prefixlen))
    return network


def _exists(value: Value) -> Sequence[Value]:
    if not isinstance(value, ast.Boolean):
        raise UnfitValueError(f"exists takes true or false, not {_named(value)}")
    return [ast.Exists(value.value)]


def _field_reference(value: Value) -> Sequence[Value]:
    if isinstance(value, ast.Text) and any(isinstance(part, ast.Wild) for part in value.parts):
        raise UnfitValueError(
            "fieldref takes the name of a field, without wildcards; contains, startswith and endswith come after it, "
            "as in `field|fieldref|endswith`"
        )
    name = plain(value, "fieldref")
    if not name:
        raise UnfitValueError("fieldref takes the name of a field")
    return [ast.FieldReference(name)]


def _compared(order: ast.Order, what: str) -> Modifier:
    def modify(value: Value) -> Sequence[Value]:
        if isinstance(value, ast.TimePart):
            return [replace(value, order=order)]
        return [ast.Compare(order, _number(value, what))]

    return modify


def _time_part(unit: ast.TimeUnit) -> Modifier:
    def modify(value: Value) -> Sequence[Value]:
        number = _number(value, unit)
        if number != int(number):
            raise UnfitValueError(f"{unit} takes a whole number, not {text_of(number)}")
        return [ast.TimePart(unit, "=", int(number))]

    return modify


MODIFIERS: Final[Mapping[str, Modifier]] = MappingProxyType(
    {
        "contains": _placed(starts=True, ends=True),
        "startswith": _placed(starts=True, ends=False),
        "endswith": _placed(starts=False, ends=True),
        "windash": _windash,
        "wide": _encoded("utf-16-le"),
        "utf16le": _encoded("utf-16-le"),
        "utf16be": _encoded("utf-16-be"),
        "utf16": _encoded("utf-16-le", b"\xff\xfe"),
        "base64": _base64,
        "base64offset": _base64_offset,
        "re": _regex,
        **dict.fromkeys(("i", "ignorecase"), _flag("i")),
        **dict.fromkeys(("m", "multiline"), _flag("m")),
        **dict.fromkeys(("s", "dotall"), _flag("s")),
        "cidr": _cidr,
        "exists": _exists,
        "fieldref": _field_reference,
        "lt": _compared("<", "lt"),
        "lte": _compared("<=", "lte"),
        "gt": _compared(">", "gt"),
        "gte": _compared(">=", "gte"),
        "minute": _time_part("minute"),
        "hour": _time_part("hour"),
        "day": _time_part("day"),
        "week": _time_part("week"),
        "month": _time_part("month"),
        "year": _time_part("year"),
    }
)
