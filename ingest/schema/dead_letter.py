"""A dead letter: refused bytes, whole, with everything needed to judge and redrive them.

Wire form: one version byte, then msgpack. The topic is append-only; `skytrail dead-letters redrive` publishes the bytes
again through the same road and records that it did.
"""

from __future__ import annotations

import datetime as dt
import hashlib

import msgspec

from ingest.schema.envelope import Header, Position
from ingest.schema.errors import UnsupportedEnvelope

VERSION = 1


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One refused record, body or message.

    Attributes:
        stage: Who refused it: `collect`, `index`, `detect`, `alert`, `seal`.
        reason: Kind of error (`MalformedRecord`) and `message` in words.
        refused_at: When (UTC).
        body: The original bytes; empty when they lie in the archive as an object (`object_key`).
        size: Bytes of the original.
        header: Header of the envelope it came in, or would have.
        position: Where it lies in Kafka; None for what never got there (stage `collect`).
        records: Records this letter stands for in the accounting (0 for a poison message that can't be counted).
        format_version: Version of the mapping that refused it.
        rule: Rule that refused or raised, where one did.
        index: Index that refused it, where one did.
        object_key: Key of the archived object for oversized bytes.
        repeat: How many times the same bytes occurred before in the same body: a record without an id of its own has
            its identity from it, also after a redrive.
    """

    stage: str
    reason: str
    message: str
    refused_at: dt.datetime
    body: bytes
    size: int
    header: Header | None = None
    position: Position | None = None
    records: int = 1
    format_version: str = ""
    rule: str = ""
    index: str = ""
    object_key: str = ""
    repeat: int = 0

    @property
    def id(self) -> str:
        """Stable id: the same refusal of the same bytes at the same place, also after a replay."""
        place = str(self.position) if self.position else f"{self.header.origin if self.header else ''}"
        digest = hashlib.sha256(f"{self.stage}|{place}|{self.object_key}|".encode() + self.body)
        return digest.hexdigest()[:20]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DeadLetter)


def encode(letter: DeadLetter) -> bytes:
    """Serialise a dead letter."""
    return bytes((VERSION,)) + _encoder.encode(letter)


def decode(message: bytes) -> DeadLetter:
    """Read a message of the dead-letter topic.

    Raises:
        UnsupportedEnvelope: Not a dead letter of a version that this build reads.
    """
    if not message or message[0] != VERSION:
        raise UnsupportedEnvelope("decoding dead letter: unknown version")
    try:
        return _decoder.decode(memoryview(message)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise UnsupportedEnvelope(f"decoding dead letter: {exc}") from exc
