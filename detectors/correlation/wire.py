"""What travels on the signals topic: batches of signals, and clocks that say how far the sources have been read.

Wire form: one version byte, then msgpack. A clock carries, for each source (a partition of a raw topic), the event time
up to which it was evaluated. What settles by time waits for the slowest of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from detectors.correlation.state import Signal
from detectors.detection import cut
from ingest.schema.errors import UnsupportedEnvelope

VERSION = 1
FORGET_SOURCE_MS = 600 * 1000
"""A source of which no clock spoke this long, while others went on, is no source any more."""


class Signals(msgspec.Struct, frozen=True, tag="signals"):
    """Some signals of one partition, in order."""

    signals: tuple[Signal, ...]


class _Written(msgspec.Struct, frozen=True, tag="signals"):
    """`Signals` whose parts are serialised already."""

    signals: list[msgspec.Raw]


class Clock(msgspec.Struct, frozen=True, tag="clock"):
    """How far sources have been read.

    Attributes:
        sources: Source → event time in ms; 0 when nothing of it is known yet.
        sent: Wall clock of the sender in ms.
    """

    sources: dict[str, int]
    sent: int


class Clocks(msgspec.Struct, frozen=True):
    """What one partition knows of all sources: source → (event time, when it was sent)."""

    sources: dict[str, tuple[int, int]] = {}

    def heard(self, clock: Clock) -> Clocks:
        """With one more message."""
        known = {**self.sources, **{source: (at, clock.sent) for source, at in clock.sources.items()}}
        newest = max((sent for _, sent in known.values()), default=0)
        return Clocks({source: (at, sent) for source, (at, sent) in known.items() if sent > newest - FORGET_SOURCE_MS})

    @property
    def time(self) -> int:
        """The event time that every source has reached; 0 while one is unknown."""
        return min((at for at, _ in self.sources.values()), default=0)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Signals | Clock)


def encode(message: Signals | Clock) -> bytes:
    """Serialise a message; `decode` gives back an equal one."""
    return bytes((VERSION,)) + _encoder.encode(message)


def encode_signals(signals: Iterable[Signal], most: int, size: int) -> list[bytes]:
    """Serialise signals as messages of at most `most` and about `size` bytes; one that is larger goes alone."""
    batches = cut(map(_encoder.encode, signals), most, size)
    return [bytes((VERSION,)) + _encoder.encode(_Written([msgspec.Raw(each) for each in batch])) for batch in batches]


def decode(message: bytes | None) -> Signals | Clock:
    """Read a Kafka message value.

    Raises:
        UnsupportedEnvelope: Empty, of another version, or no message of ours: the whole message is a dead letter.
    """
    if not message:
        raise UnsupportedEnvelope("decoding signals: the message is empty")
    if message[0] != VERSION:
        raise UnsupportedEnvelope(
            f"decoding signals: version byte is {message[0]}, this build reads {VERSION}",
            mend="upgrade this worker, or find out who writes to the signals topic",
        )
    try:
        found: Signals | Clock = _decoder.decode(memoryview(message)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OverflowError, RecursionError) as exc:
        raise UnsupportedEnvelope(f"decoding signals: {exc}") from exc
    return found
