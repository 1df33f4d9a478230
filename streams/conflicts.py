"""A record whose document id was already taken; settled beside the index path by a reader identity.

Wire form of a message of the conflicts topic: msgpack list of conflicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ingest.schema.envelope import Position
from ingest.schema.errors import UnsupportedEnvelope

MAX_PER_MESSAGE = 500


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """One refused creation.

    Attributes:
        source: `namespace|format|collector` for the accounting.
        leaf: Hex leaf of the record that came second.
        position: Where that record lies.
    """

    source: str
    index: str
    id: str
    leaf: str
    position: Position


_decoder = msgspec.msgpack.Decoder(list[Conflict])


def encode_conflicts(conflicts: Sequence[Conflict]) -> Iterable[bytes]:
    """Messages of at most `MAX_PER_MESSAGE` conflicts."""
    for start in range(0, len(conflicts), MAX_PER_MESSAGE):
        yield msgspec.msgpack.encode(conflicts[start : start + MAX_PER_MESSAGE])


def decode_conflicts(value: bytes | None) -> list[Conflict]:
    """Read a message.

    Raises:
        UnsupportedEnvelope: Not a list of conflicts.
    """
    try:
        return _decoder.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise UnsupportedEnvelope(f"decoding conflicts: {exc}") from exc
