"""Frames, performatives and messages of AMQP 1.0, written with every field.

Specification: https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-transport-v1.0-os.html
AMQP lets a peer leave trailing nulls out; azure-eventhub reads fields by index and breaks on it. So all are sent.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.doubles.event_hubs.codec import (
    FALSE,
    NULL,
    Part,
    binary,
    boolean,
    decode,
    described,
    listed,
    mapped,
    parts,
    string,
    symbol,
    symbols,
    ubyte,
    uint,
    ulong,
    ushort,
)

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SASL_MECHANISMS, SASL_INIT, SASL_OUTCOME = 0x40, 0x41, 0x44
MAX_MESSAGE_BYTES = 1024 * 1024
_WINDOW = 2**31 - 1


class Frame(NamedTuple):
    """A received frame: performative code, fields with their bytes, and what follows them."""

    channel: int
    code: int
    fields: list[Part]
    payload: bytes

    def field(self, index: int) -> Any:
        """A field, None when it was left out."""
        return self.fields[index].value if index < len(self.fields) else None

    def raw(self, index: int) -> bytes:
        """The bytes of a field, for giving back."""
        return self.fields[index].raw if index < len(self.fields) else NULL


def frame(code: int, fields: list[bytes], *, channel: int = 0, payload: bytes = b"", sasl: bool = False) -> bytes:
    body = described(code, listed(fields)) + payload
    return struct.pack(">IBBH", len(body) + 8, 2, int(sasl), channel) + body


def read(channel: int, body: bytes) -> Frame:
    """A frame from its channel and body."""
    code, at = decode(body, 1)
    fields, end = parts(body, at)
    return Frame(channel, code, fields, body[end:])


def error(condition: str, description: str) -> bytes:
    return described(0x1D, listed([symbol(condition), string(description), NULL]))


def open_(frame_bytes: int, idle_ms: int | None) -> bytes:
    properties = mapped({symbol("product"): string("double of Event Hubs")})
    idle = NULL if idle_ms is None else uint(idle_ms)
    fields = [string("double"), NULL, uint(frame_bytes), ushort(255), idle, NULL, NULL, NULL, NULL, properties]
    return frame(OPEN, fields)


def begin(channel: int) -> bytes:
    fields = [ushort(channel), uint(1), uint(_WINDOW), uint(_WINDOW), uint(255), NULL, NULL, NULL]
    return frame(BEGIN, fields, channel=channel)


def attach(asked: Frame, *, refused: bool = False) -> bytes:
    """The answer to an attach: the other role, the same addresses, or none when a detach follows."""
    sends = bool(asked.field(2))  # the client receives, so we send
    fields = [
        asked.raw(0),
        asked.raw(1),
        boolean(not sends),
        ubyte(0),
        ubyte(0),
        NULL if refused else asked.raw(5),
        NULL if refused else asked.raw(6),
        NULL,
        FALSE,
        uint(0) if sends else NULL,
        ulong(MAX_MESSAGE_BYTES),
        NULL,
        NULL,
        NULL,
    ]
    return frame(ATTACH, fields, channel=asked.channel)


def credit(channel: int, handle: int, received: int, credits_: int) -> bytes:
    """Leave to send, after `received` transfers of the session and the link."""
    fields = [
        uint(received),
        uint(_WINDOW),
        uint(1),
        uint(_WINDOW),
        uint(handle),
        uint(received),
        uint(credits_),
        NULL,
        FALSE,
        FALSE,
        NULL,
    ]
    return frame(FLOW, fields, channel=channel)


def transfers(channel: int, handle: int, delivery: int, message: bytes, frame_bytes: int) -> bytes:
    """A message in as many frames as it needs."""
    room = frame_bytes - 128
    pieces = [message[at : at + room] for at in range(0, len(message), room)]
    found: list[bytes] = []
    for piece in pieces:
        more = piece is not pieces[-1]
        fields = [uint(handle), uint(delivery), binary(struct.pack(">Q", delivery)), uint(0), FALSE, boolean(more)]
        found.append(frame(TRANSFER, [*fields, NULL, NULL, FALSE, FALSE, FALSE], channel=channel, payload=piece))
    return b"".join(found)


def accepted(channel: int, delivery: int) -> bytes:
    return _disposition(channel, delivery, described(0x24, listed([])))


def rejected(channel: int, delivery: int, reason: bytes) -> bytes:
    return _disposition(channel, delivery, described(0x25, listed([reason])))


def _disposition(channel: int, delivery: int, state: bytes) -> bytes:
    fields = [boolean(True), uint(delivery), uint(delivery), boolean(True), state, FALSE]
    return frame(DISPOSITION, fields, channel=channel)


def detach(channel: int, handle: int, reason: bytes = NULL) -> bytes:
    return frame(DETACH, [uint(handle), boolean(True), reason], channel=channel)


def mechanisms() -> bytes:
    return frame(SASL_MECHANISMS, [symbols(["ANONYMOUS"])], sasl=True)


def sasl_outcome() -> bytes:
    return frame(SASL_OUTCOME, [ubyte(0), NULL], sasl=True)


def reply(correlation: bytes, status: tuple[int, str], value: bytes = NULL) -> bytes:
    """The message that answers a request: its id, a status, a value."""
    properties = [NULL, NULL, NULL, NULL, NULL, correlation, NULL, NULL, NULL, NULL, NULL, NULL, NULL]
    told = {
        string("status-code"): b"\x71" + struct.pack(">i", status[0]),
        string("status-description"): string(status[1]),
    }
    return described(0x73, listed(properties)) + described(0x74, mapped(told)) + described(0x77, value)


def sections(message: bytes) -> Mapping[int, list[Part]]:
    """The sections of a message by their code; data sections may be several."""
    found: dict[int, list[Part]] = {}
    at = 0
    while at < len(message):
        code, start = decode(message, at + 1)
        value, end = decode(message, start)
        found.setdefault(code, []).append(Part(value, message[start:end]))
        at = end
    return found
