"""A record whose document id was already taken; settled beside the index path by a reader identity.

Wire form of a message of the conflicts topic: msgpack list of all conflicts of one raw message, keyed by its partition.
So the resolver hears of the passes over one raw message in their order, each whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from ingest.schema.envelope import Position
from ingest.schema.errors import UnsupportedEnvelope


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


def raw_partition_of(place: Position) -> str:
    """The raw partition of a record, as messages are keyed by it."""
    return f"{place.topic}|{place.partition}"


def encode_conflicts(conflicts: Sequence[Conflict]) -> Iterable[tuple[bytes, bytes]]:
    """Key and value of a message for each raw message.

    Args:
        conflicts: Those of one raw message stand together.
    """
    for _, group in groupby(conflicts, key=_message_of):
        together = list(group)
        yield raw_partition_of(together[0].position).encode(), msgspec.msgpack.encode(together)


def _message_of(conflict: Conflict) -> tuple[str, int, int]:
    place = conflict.position
    return place.topic, place.partition, place.offset


def decode_conflicts(value: bytes | None) -> list[Conflict]:
    """Read a message.

    Raises:
        UnsupportedEnvelope: Not a list of conflicts.
    """
    try:
        return _decoder.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise UnsupportedEnvelope(f"decoding conflicts: {exc}") from exc
