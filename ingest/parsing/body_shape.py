"""How a file may be cut: between lines, or not at all. Pure.

The transport knows no format, yet a 5 GB file of one record a line must not be read whole, and a JSON document that
spans lines must not be cut. The first lines decide.
"""

from __future__ import annotations

import enum

import msgspec

_GZIP_MAGIC = b"\x1f\x8b"
_SAMPLED_LINES = 16


class Shape(enum.Enum):
    """What the beginning of a file says about the rest."""

    LINES = "lines"
    """Records end at line ends: may be cut there, and appended to."""
    WHOLE = "whole"
    """gzip, or a JSON document over several lines: one body."""
    UNDECIDED = "undecided"
    """No complete line yet."""


def shape_of(head: bytes, *, complete: bool) -> Shape:
    """The shape of a file that begins with `head`.

    Args:
        head: First bytes of the file.
        complete: `head` is the whole file.
    """
    if is_gzip(head):
        return Shape.WHOLE
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        return Shape.LINES if complete else Shape.UNDECIDED
    if text[:1] not in b"{[":
        return Shape.LINES if complete or b"\n" in text else Shape.UNDECIDED
    lines = text.split(b"\n", _SAMPLED_LINES)
    if not complete:
        lines.pop()  # perhaps cut in the middle
    if not lines:
        return Shape.UNDECIDED
    sampled = lines[:1] if text[:1] == b"[" else lines[:_SAMPLED_LINES]
    # The first line may be damaged; an indented or comma-separated element of a document is not a line of its own.
    return Shape.LINES if any(line[:1] in b"{[" and _is_json(line) for line in sampled if line) else Shape.WHOLE


def is_gzip(head: bytes) -> bool:
    """Whether these are the first bytes of a gzip file."""
    return head.startswith(_GZIP_MAGIC)


def is_finished(body: bytes) -> bool:
    """Whether a document is written to its end: JSON that closes. Of gzip only its writer's pause tells."""
    return is_gzip(body) or _is_json(body)


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def whole_lines(buffer: bytes | bytearray) -> int:
    """Length of the part of `buffer` that ends with its last line end; 0 without one."""
    return buffer.rfind(b"\n") + 1


def count_lines(body: bytes) -> int:
    """Lines that are not blank: the records of a body in lines."""
    return len(list(filter(bytes.strip, body.split(b"\n"))))
