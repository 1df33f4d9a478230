"""Takes apart what the Kinesis Producer Library, and agents that do as it does, put into one record. Pure.

Four bytes of magic, a protobuf message, its MD5. Of the message only the data of its records is of interest; partition
keys are passed over, as they are of other records.

https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

_MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16
_RECORDS, _DATA = 3, 3  # fields of the message and of a record in it
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_MOST_RECORDS = 100_000  # a record of a stream has 1 MiB; more are not meant well, and stay together
_VARINT_BITS = 64


def taken_apart(data: bytes) -> list[bytes]:
    """The records in a record of a stream, in order; one that is not aggregated, or broken, is itself.

    Args:
        data: Of the record.
    """
    message, digest = data[len(_MAGIC) : -_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if not data.startswith(_MAGIC) or hashlib.md5(message, usedforsecurity=False).digest() != digest:
        return [data]
    try:
        found = [_data_of(value) for number, value in _fields(message) if number == _RECORDS]
    except ValueError:
        return [data]
    return found if 0 < len(found) <= _MOST_RECORDS else [data]


def _data_of(record: bytes) -> bytes:
    found = [value for number, value in _fields(record) if number == _DATA]
    if not found:
        raise ValueError("a record without data")
    return found[-1]  # of a field that stands twice the last one counts, says protobuf


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and values of the fields that have a length; others are passed over.

    Raises:
        ValueError: It is no message.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case kind if kind == _VARINT:
                _, at = _varint(message, at)
            case kind if kind == _BYTES:
                size, at = _varint(message, at)
                if at + size > len(message):
                    raise ValueError("a field ends behind its message")
                yield tag >> 3, message[at : at + size]
                at += size
            case kind if kind in (_FIXED32, _FIXED64):
                at += 4 if kind == _FIXED32 else 8
            case kind:
                raise ValueError(f"there is no wire type {kind}")
    if at > len(message):
        raise ValueError("a number ends behind its message")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _VARINT_BITS + 6, 7):
        if at >= len(message):
            break
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return value, at
    raise ValueError("a number does not end")
