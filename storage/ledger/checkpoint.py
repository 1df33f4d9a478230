"""The text of a checkpoint: origin, size, root.  https://c2sp.org/tlog-checkpoint."""

from __future__ import annotations

import base64
import re

import msgspec

from storage.ledger.note import strict_base64

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_LINES = 3
HASH_BYTES = 32


class TreeHead(msgspec.Struct, frozen=True):
    """What a checkpoint states.

    Attributes:
        root: RFC 6962 root over the first `size` entries.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The signed text. No extension lines: nobody could audit them."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_head(text: str) -> TreeHead:
    """Read the text of a checkpoint; extension lines are passed over, as every reader must.

    Raises:
        ValueError: It is none, in words.
    """
    lines = text.split("\n")
    if len(lines) <= _LINES or lines[-1] or not all(lines[:-1]):
        raise ValueError("not the text of a checkpoint")
    origin, size, root = lines[:_LINES]
    if not _SIZE.fullmatch(size):
        raise ValueError("the size of the checkpoint is not a number in its only form")
    decoded = strict_base64(root)
    if len(decoded) != HASH_BYTES:
        raise ValueError("the root of the checkpoint is not 32 bytes")
    return TreeHead(origin, int(size), decoded)
