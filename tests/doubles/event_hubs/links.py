"""The links of a connection: requests and replies, receivers of partitions, senders."""

from __future__ import annotations

import re
from typing import Any, Protocol

from tests.doubles.event_hubs import frames
from tests.doubles.event_hubs.codec import (
    Described,
    boolean,
    decode,
    described,
    long,
    mapped,
    string,
    strings,
    symbol,
    timestamp,
)
from tests.doubles.event_hubs.frames import Frame
from tests.doubles.event_hubs.hub import BUSY, NOT_FOUND, Event, Hub

_PARTITION = re.compile(
    r"/(?P<hub>[^/]+)/consumergroups/(?P<group>[^/]+)/partitions/(?P<partition>[^/]+)$", re.IGNORECASE
)
_TARGET = re.compile(r"//[^/]+/(?P<hub>[^/]+)(/partitions/(?P<partition>[^/]+))?$", re.IGNORECASE)
_FILTER = "apache.org:selector-filter:string"
_EPOCH = "com.microsoft:epoch"
_CREDIT = 300


class Wire(Protocol):
    """What a link needs of its connection."""

    hub: Hub
    frame_bytes: int
    delivery: int

    def write(self, data: bytes) -> None: ...

    def forget(self, link: Link) -> None: ...

    def replies(self, channel: int, address: str) -> Replying | None: ...


class Link:
    """One link."""

    def __init__(self, wire: Wire, asked: Frame, address: str) -> None:
        self.wire = wire
        self.asked = asked
        self.address = address
        self.channel = asked.channel
        self.handle: int = asked.field(1)

    def refusal(self) -> tuple[str, str] | None:
        """Condition and description when it may not attach."""
        return None

    def opened(self) -> None:
        """The client knows that it is attached."""

    def take(self, frame: Frame) -> None:
        """A flow or a transfer."""

    def gone(self) -> None:
        """It is detached."""

    def send(self, message: bytes) -> None:
        data = frames.transfers(self.channel, self.handle, self.wire.delivery, message, self.wire.frame_bytes)
        self.wire.delivery += 1
        self.wire.write(data)


class Replying(Link):
    """Where the client receives answers of `$cbs` and `$management`."""


class _Incoming(Link):
    """A link on which the client sends."""

    _received = 0
    _parts = b""

    def opened(self) -> None:
        self.wire.write(frames.credit(self.channel, self.handle, 0, _CREDIT))

    def take(self, frame: Frame) -> None:
        if frame.code != frames.TRANSFER:
            return
        self._parts += frame.payload
        if frame.field(1) is not None:
            self._delivery: int = frame.field(1)
        if frame.field(5):
            return
        message, self._parts = self._parts, b""
        self._received += 1
        self.message(message, self._delivery)
        self.wire.write(frames.credit(self.channel, self.handle, self._received, _CREDIT))

    def message(self, message: bytes, delivery: int) -> None:
        """A whole message."""


class Requesting(_Incoming):
    """Where the client sends requests to `$cbs` and `$management`."""

    def message(self, message: bytes, delivery: int) -> None:
        self.wire.write(frames.accepted(self.channel, delivery))
        replies = self.wire.replies(self.channel, self.address)
        if replies is None:
            return
        found = frames.sections(message)
        correlation = frames.parts(found[0x73][0].raw)[0][0].raw
        asked: dict[str, Any] = found[0x74][0].value
        answer = self._token(found[0x77][0].value) if self.address == "$cbs" else self._read(asked)
        replies.send(frames.reply(correlation, *answer))

    def _token(self, token: str) -> tuple[tuple[int, str], bytes]:
        if not self.wire.hub.allows(token):
            return (401, "InvalidSignature: The token has an invalid signature."), frames.NULL
        return (202, "Accepted"), frames.NULL

    def _read(self, asked: dict[str, Any]) -> tuple[tuple[int, str], bytes]:
        hub = self.wire.hub
        if asked.get("name") != hub.name:
            return (404, f"The messaging entity '{asked.get('name')}' could not be found."), frames.NULL
        if asked["type"] == "com.microsoft:eventhub":
            told = {
                "name": string(hub.name),
                "type": string("com.microsoft:eventhub"),
                "created_at": timestamp(hub.made_ms),
                "partition_count": b"\x71" + len(hub.partitions).to_bytes(4, "big"),
                "partition_ids": strings(hub.partitions),
            }
        else:
            told = self._partition(str(asked["partition"]))
        return (200, "OK"), mapped({string(name): value for name, value in told.items()})

    def _partition(self, partition: str) -> dict[str, bytes]:
        events = self.wire.hub.partitions[partition]
        last = events[-1] if events else Event(-1, "-1", 0, b"")
        return {
            "name": string(self.wire.hub.name),
            "partition": string(partition),
            "type": string("com.microsoft:partition"),
            "begin_sequence_number": long(events[0].sequence if events else -1),
            "last_enqueued_sequence_number": long(last.sequence),
            "last_enqueued_offset": string(last.offset),
            "last_enqueued_time_utc": timestamp(last.enqueued_ms),
            "is_partition_empty": boolean(not events),
        }


class Sending(_Incoming):
    """A sender to the hub or to one of its partitions; a batch is split into its events."""

    def refusal(self) -> tuple[str, str] | None:
        found = _TARGET.search(self.address)
        if found is None or found["hub"] != self.wire.hub.name:
            return NOT_FOUND, f"no such entity: {self.address}"
        self._partition = found["partition"] or "0"
        return None

    def message(self, message: bytes, delivery: int) -> None:
        for body in _bodies(message):
            self.wire.hub.put(body, self._partition)
        self.wire.write(frames.accepted(self.channel, delivery))


class Receiving(Link):
    """A receiver of one partition."""

    epoch: int | None = None

    def refusal(self) -> tuple[str, str] | None:
        found = _PARTITION.search(self.address)
        if found is None or found["hub"] != self.wire.hub.name:
            return NOT_FOUND, f"The messaging entity '{self.address}' could not be found."
        self._group, self._partition = found["group"].lower(), found["partition"]
        properties = self.asked.field(13) or {}
        self.epoch = properties.get(_EPOCH)
        self._given = self._since = self._credit = 0
        self._at = -1
        self._wanted = self.wire.hub.after(self._partition, _selector(self.asked.field(5)))
        return self.wire.hub.refusal(self._group, self._partition, self.epoch)

    def opened(self) -> None:
        self.wire.hub.attach(self._group, self._partition, self)

    def gone(self) -> None:
        self.wire.hub.leave(self)

    def detach(self, condition: str, description: str) -> None:
        self.wire.forget(self)
        self._credit = 0
        self.wire.write(frames.detach(self.channel, self.handle, frames.error(condition, description)))

    def take(self, frame: Frame) -> None:
        if frame.code == frames.FLOW and frame.field(6) is not None:
            self._credit = (frame.field(5) or 0) + frame.field(6) - self._given
            self.pump()

    def pump(self) -> None:
        """Give events as long as there is credit."""
        hub = self.wire.hub
        for event in [one for one in hub.partitions[self._partition] if one.sequence > self._at and self._wanted(one)]:
            for _ in range(2 if hub.faults.twice else 1):
                if self._credit <= 0:
                    return
                self._give(event)
            self._at = event.sequence
            if hub.faults.detaches and self._since >= hub.faults.detach_after:
                hub.faults.detaches -= 1
                hub.leave(self)
                self.detach(BUSY, "The request was terminated because the entity is being throttled.")
                return

    def _give(self, event: Event) -> None:
        annotations = {
            symbol("x-opt-sequence-number"): long(event.sequence),
            symbol("x-opt-offset"): string(event.offset),
            symbol("x-opt-enqueued-time"): timestamp(event.enqueued_ms),
        }
        if event.key:
            annotations[symbol("x-opt-partition-key")] = string(event.key)
        self.send(described(0x72, mapped(annotations)) + described(0x75, frames.binary(event.body)))
        self._credit -= 1
        self._given += 1
        self._since += 1


def addressed(terminus: Any) -> str:
    """The address of a source or target."""
    if isinstance(terminus, Described) and terminus.value:
        return str(terminus.value[0])
    return ""


def _selector(source: Any) -> str:
    filters = source.value[7] if isinstance(source, Described) and len(source.value) > 7 else None
    found = (filters or {}).get(_FILTER)
    value = found.value if isinstance(found, Described) else found
    return value.decode() if isinstance(value, bytes) else str(value or "")


def _bodies(message: bytes) -> list[bytes]:
    """The bodies of a message or, of a batch, of the messages inside."""
    data = [part.value for part in frames.sections(message).get(0x75, [])]
    found: list[bytes] = []
    for each in data:
        inner = each[:3] in (b"\x00\x53\x70", b"\x00\x53\x72", b"\x00\x53\x73", b"\x00\x53\x74", b"\x00\x53\x75")
        if inner and decode(each, 1)[0] in range(0x70, 0x79):
            found.extend(part.value for part in frames.sections(each).get(0x75, []))
        else:
            found.append(each)
    return found
