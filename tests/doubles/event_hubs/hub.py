"""What an event hub holds and promises, without a network: partitions, consumer groups, epochs, and faults to inject.

Epochs as Event Hubs has them: a reader with an epoch at least as high as the present reader's takes the partition, the
other's link is detached with `amqp:link:stolen`; a lower one, or one without an epoch, is refused the same way.
https://learn.microsoft.com/azure/event-hubs/event-hubs-event-processor-host#epoch
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qs, quote_plus

STOLEN = "amqp:link:stolen"
BUSY = "com.microsoft:server-busy"
NOT_FOUND = "amqp:not-found"
UNAUTHORIZED = "amqp:unauthorized-access"
_POSITION = re.compile(r"amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time) (>=?) '([^']*)'")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a partition; the offset is not the sequence number, as with the real service."""

    sequence: int
    offset: str
    enqueued_ms: int
    body: bytes
    key: str = ""


class Reader(Protocol):
    """An attached receiver."""

    epoch: int | None

    def detach(self, condition: str, description: str) -> None: ...

    def pump(self) -> None: ...


@dataclass(slots=True)
class Faults:
    """What goes wrong next.

    Attributes:
        refuse_attach: Condition with which the next `refusals` receivers are detached.
        refusals: How many; -1 for ever.
        twice: Each event is delivered two times.
        detach_after: Detach a reader with `BUSY` when it was given so many events; then counted anew.
        detaches: How many times that happens.
    """

    refuse_attach: str = ""
    refusals: int = 0
    twice: bool = False
    detach_after: int = 0
    detaches: int = 0


@dataclass(slots=True)
class Hub:
    """An event hub.

    Attributes:
        partitions: Events by partition id; those that expired are gone from the front.
        policies: Keys by the names of the rules that may Listen.
        held: Epoch of a reader that is not ours, by (group, partition).
        tokens: How many tokens were put.
        attached: How many receivers were attached.
        made_ms: When it was made.
        first_offset: Of each partition.
    """

    name: str
    partition_count: int
    groups: set[str] = field(default_factory=lambda: {"$default", "skytrail"})
    policies: dict[str, str] = field(default_factory=lambda: {"listen": "c2VjcmV0"})
    faults: Faults = field(default_factory=Faults)
    held: dict[tuple[str, str], int] = field(default_factory=dict)
    tokens: int = 0
    attached: int = 0
    made_ms: int = 0
    first_offset: int = 4096
    partitions: dict[str, list[Event]] = field(default_factory=dict)
    next_sequence: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _readers: dict[tuple[str, str], list[Reader]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for number in range(self.partition_count):
            self.partitions[str(number)] = []

    def allows(self, token: str) -> bool:
        """Whether a token is one of our rules', signed with its key and not expired."""
        self.tokens += 1
        kind, _, rest = token.partition(" ")
        told = {name: values[0] for name, values in parse_qs(rest).items()}
        key = self.policies.get(told.get("skn", ""))
        if kind != "SharedAccessSignature" or key is None or int(told["se"]) < time.time():
            return False
        signed = f"{quote_plus(told['sr'])}\n{told['se']}".encode()
        signature = base64.b64encode(hmac.new(key.encode(), signed, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(signature, told["sig"])

    def put(self, body: bytes, partition: str = "0", key: str = "") -> Event:
        """Enqueue an event."""
        sequence = self.next_sequence[partition]
        self.next_sequence[partition] += 1
        event = Event(sequence, str(self.first_offset + sequence * 128), int(time.time() * 1000), body, key)
        self.partitions[partition].append(event)
        for (_, where), readers in self._readers.items():
            if where == partition:
                for reader in readers:
                    reader.pump()
        return event

    def make_anew(self) -> None:
        """Delete the hub and make another one with its name; whoever reads it is detached."""
        self.made_ms += 3_600_000
        self.partitions = {partition: [] for partition in self.partitions}
        self.next_sequence.clear()
        self.detach_all(NOT_FOUND, "The messaging entity was deleted.")

    def expire(self, partition: str, before: int) -> None:
        """Forget the events before a sequence number, as the retention of the hub does."""
        kept = [event for event in self.partitions[partition] if event.sequence >= before]
        self.partitions[partition] = kept

    def after(self, partition: str, selector: str) -> Callable[[Event], bool]:
        """Which events a receiver with this selector is given."""
        found = _POSITION.search(selector)
        if found is None:
            return lambda _event: True
        kind, comparison, told = found.groups()
        if told == "@latest":
            end = self.next_sequence[partition]
            return lambda event: event.sequence >= end
        limit = int(told)
        slack = 0 if comparison == ">=" else 1
        values: dict[str, Callable[[Event], int]] = {
            "offset": lambda event: int(event.offset),
            "sequence-number": lambda event: event.sequence,
            "enqueued-time": lambda event: event.enqueued_ms,
        }
        return lambda event: values[kind](event) >= limit + slack

    def refusal(self, group: str, partition: str, epoch: int | None) -> tuple[str, str] | None:
        """Why a receiver may not attach: condition and description; None when it may."""
        if group not in self.groups:
            return NOT_FOUND, f"The messaging entity '{self.name}/ConsumerGroups/{group}' could not be found."
        if partition not in self.partitions:
            return NOT_FOUND, f"The partition '{partition}' does not exist."
        if self.faults.refusals:
            self.faults.refusals -= 1
            return self.faults.refuse_attach, "as the test asked"
        present = [reader.epoch for reader in self._readers[group, partition] if reader.epoch is not None]
        held = self.held.get((group, partition))
        highest = max([*present, *([held] if held is not None else [])], default=None)
        if highest is not None and (epoch is None or epoch < highest):
            return STOLEN, f"A higher epoch '{highest}' exists already for partition '{partition}'."
        return None

    def attach(self, group: str, partition: str, reader: Reader) -> None:
        """Take a receiver in; those that its epoch displaces are detached."""
        self.attached += 1
        there = self._readers[group, partition]
        if reader.epoch is not None:
            for other in tuple(there):
                there.remove(other)
                other.detach(STOLEN, f"New receiver with epoch '{reader.epoch}' is created for this partition.")
            self.held.pop((group, partition), None)
        there.append(reader)

    def leave(self, reader: Reader) -> None:
        """A receiver is gone."""
        for readers in self._readers.values():
            if reader in readers:
                readers.remove(reader)

    def detach_all(self, condition: str, description: str = "as the test asked") -> int:
        """Detach every receiver; how many there were."""
        there = [reader for readers in self._readers.values() for reader in tuple(readers)]
        for reader in there:
            self.leave(reader)
            reader.detach(condition, description)
        return len(there)

    def steal(self, group: str, partition: str, epoch: int) -> None:
        """Another reader, that is none of ours, takes a partition and keeps it."""
        self.held[group, partition] = epoch
        for reader in tuple(self._readers[group, partition]):
            self.leave(reader)
            reader.detach(STOLEN, f"New receiver with epoch '{epoch}' is created for this partition.")

    def readers(self, group: str = "skytrail") -> set[str]:
        """Partitions that are read now."""
        return {partition for (of, partition), readers in self._readers.items() if of == group and readers}
