"""The types of AMQP 1.0 that Event Hubs uses, to bytes and back.

Specification: https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-types-v1.0-os.html
Encoders return bytes and are composed. `decode` gives plain values; `parts` also the bytes they were read from, so that
what a client sent (a source with its filters) can be given back as it came.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

NULL = b"\x40"
TRUE = b"\x41"
FALSE = b"\x42"


class Described(NamedTuple):
    """A value with its descriptor."""

    descriptor: Any
    value: Any


class Part(NamedTuple):
    """A decoded value and the bytes it was read from."""

    value: Any
    raw: bytes


def boolean(value: bool) -> bytes:  # noqa: FBT001 - a value, not a switch
    return TRUE if value else FALSE


def ubyte(value: int) -> bytes:
    return b"\x50" + struct.pack(">B", value)


def ushort(value: int) -> bytes:
    return b"\x60" + struct.pack(">H", value)


def uint(value: int) -> bytes:
    return b"\x70" + struct.pack(">I", value)


def ulong(value: int) -> bytes:
    return b"\x80" + struct.pack(">Q", value)


def integer(value: int) -> bytes:
    return b"\x71" + struct.pack(">i", value)


def long(value: int) -> bytes:
    return b"\x81" + struct.pack(">q", value)


def timestamp(milliseconds: int) -> bytes:
    return b"\x83" + struct.pack(">q", milliseconds)


def binary(value: bytes) -> bytes:
    return _sized(b"\xa0", b"\xb0", value)


def string(value: str) -> bytes:
    return _sized(b"\xa1", b"\xb1", value.encode())


def symbol(value: str) -> bytes:
    return _sized(b"\xa3", b"\xb3", value.encode())


def listed(items: Iterable[bytes]) -> bytes:
    """Never the short form of an empty list: azure-eventhub can't read it."""
    found = list(items)
    return _compound(b"\xc0", b"\xd0", len(found), b"".join(found))


def mapped(items: Mapping[bytes, bytes]) -> bytes:
    return _compound(b"\xc1", b"\xd1", 2 * len(items), b"".join(key + value for key, value in items.items()))


def strings(values: Iterable[str]) -> bytes:
    """An array of strings."""
    found = [value.encode() for value in values]
    body = b"\xb1" + b"".join(struct.pack(">I", len(each)) + each for each in found)
    return b"\xf0" + struct.pack(">II", len(body) + 4, len(found)) + body


def symbols(values: Iterable[str]) -> bytes:
    """An array of symbols."""
    found = [value.encode() for value in values]
    body = b"\xb3" + b"".join(struct.pack(">I", len(each)) + each for each in found)
    return b"\xf0" + struct.pack(">II", len(body) + 4, len(found)) + body


def described(code: int, value: bytes) -> bytes:
    """With a descriptor below 256 as one byte: azure-eventhub reads it there."""
    return b"\x00\x53" + bytes((code,)) + value


def _sized(short: bytes, wide: bytes, value: bytes) -> bytes:
    if len(value) < 256:
        return short + bytes((len(value),)) + value
    return wide + struct.pack(">I", len(value)) + value


def _compound(short: bytes, wide: bytes, count: int, body: bytes) -> bytes:
    if count < 256 and len(body) < 255:
        return short + bytes((len(body) + 1, count)) + body
    return wide + struct.pack(">II", len(body) + 4, count) + body


_FIXED: dict[int, tuple[int, Callable[[bytes], Any]]] = {
    0x40: (0, lambda _: None),
    0x41: (0, lambda _: True),
    0x42: (0, lambda _: False),
    0x43: (0, lambda _: 0),
    0x44: (0, lambda _: 0),
    0x45: (0, lambda _: []),
    0x50: (1, lambda raw: raw[0]),
    0x51: (1, lambda raw: struct.unpack(">b", raw)[0]),
    0x52: (1, lambda raw: raw[0]),
    0x53: (1, lambda raw: raw[0]),
    0x54: (1, lambda raw: struct.unpack(">b", raw)[0]),
    0x55: (1, lambda raw: struct.unpack(">b", raw)[0]),
    0x56: (1, lambda raw: raw[0] == 1),
    0x60: (2, lambda raw: struct.unpack(">H", raw)[0]),
    0x61: (2, lambda raw: struct.unpack(">h", raw)[0]),
    0x70: (4, lambda raw: struct.unpack(">I", raw)[0]),
    0x71: (4, lambda raw: struct.unpack(">i", raw)[0]),
    0x72: (4, lambda raw: struct.unpack(">f", raw)[0]),
    0x80: (8, lambda raw: struct.unpack(">Q", raw)[0]),
    0x81: (8, lambda raw: struct.unpack(">q", raw)[0]),
    0x82: (8, lambda raw: struct.unpack(">d", raw)[0]),
    0x83: (8, lambda raw: struct.unpack(">q", raw)[0]),
    0x98: (16, lambda raw: uuid.UUID(bytes=bytes(raw))),
}


def decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """The value at an offset, and where the next begins."""
    code = data[at]
    at += 1
    if code == 0x00:
        descriptor, at = decode(data, at)
        value, at = decode(data, at)
        return Described(descriptor, value), at
    if code in _FIXED:
        width, read = _FIXED[code]
        return read(data[at : at + width]), at + width
    width = 1 if code & 0xF0 in (0xA0, 0xC0, 0xE0) else 4
    size = int.from_bytes(data[at : at + width], "big")
    at += width
    body, end = data[at : at + size], at + size
    if code in (0xA0, 0xB0):
        return body, end
    if code in (0xA1, 0xB1, 0xA3, 0xB3):
        return body.decode(), end
    count, body = int.from_bytes(body[:width], "big"), body[width:]
    if code in (0xE0, 0xF0):
        return _array(body, count), end
    items = [part.value for part in _in_turn(body, count)]
    if code in (0xC1, 0xD1):
        return dict(zip(items[::2], items[1::2], strict=True)), end
    return items, end


def parts(data: bytes, at: int = 0) -> tuple[list[Part], int]:
    """The items of a list, each with its bytes, and where the next value begins."""
    code = data[at]
    if code == 0x45:
        return [], at + 1
    width = 1 if code == 0xC0 else 4
    size = int.from_bytes(data[at + 1 : at + 1 + width], "big")
    body = data[at + 1 + width : at + 1 + width + size]
    return _in_turn(body[width:], int.from_bytes(body[:width], "big")), at + 1 + width + size


def _in_turn(body: bytes, count: int) -> list[Part]:
    found: list[Part] = []
    at = 0
    for _ in range(count):
        value, end = decode(body, at)
        found.append(Part(value, body[at:end]))
        at = end
    return found


def _array(body: bytes, count: int) -> list[Any]:
    constructor, body = body[:1], body[1:]
    found: list[Any] = []
    for _ in range(count):
        value, end = decode(constructor + body)
        found.append(value)
        body = body[end - 1 :]
    return found
