"""Where syslog messages of a stream begin and end. Pure.

Octet counting: ``MSG-LEN SP SYSLOG-MSG`` (RFC 5425 §4.3). Non-transparent framing: each message ends with a line feed
(RFC 6587 §3.4.2). Either holds at most one message of the largest length.
"""

from __future__ import annotations

import re
from typing import Protocol

_LENGTH = re.compile(rb"[1-9][0-9]{0,8}(?P<space> )?")
_SHOWN_BYTES = 20


class Framing(Protocol):
    """One stream's messages.

    Attributes:
        oversized: Lengths of messages that were too long and left out; whoever reads it empties it.
        broken: Why nothing more can be told apart; empty while it can.
    """

    oversized: list[int]
    broken: str

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that end in this part of the stream."""
        ...

    def end(self) -> tuple[list[bytes], int]:
        """The stream ended: a last message, and the bytes of one that was not finished."""
        ...


class OctetCounting:
    """See `Framing`.

    Args:
        most: The longest message, bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._buffer = bytearray()
        self._skip = 0
        self.oversized: list[int] = []
        self.broken = ""

    def feed(self, data: bytes) -> list[bytes]:
        """See `Framing.feed`."""
        self._buffer += data
        found: list[bytes] = []
        at = 0
        while not self.broken:
            if self._skip:
                passed = min(self._skip, len(self._buffer) - at)
                self._skip -= passed
                at += passed
            begin = self._begin(at)
            if begin is None:
                break
            length = int(self._buffer[at : begin - 1])
            if length > self._most:
                self.oversized.append(length)
                self._skip = length
                at = begin
            elif begin + length <= len(self._buffer):
                found.append(bytes(self._buffer[begin : begin + length]))
                at = begin + length
            else:
                break
        del self._buffer[:at]
        return found

    def end(self) -> tuple[list[bytes], int]:
        """See `Framing.end`."""
        return [], len(self._buffer)

    def _begin(self, at: int) -> int | None:
        """Where the message begins whose length stands at a place; None if that is not there yet."""
        found = _LENGTH.match(self._buffer, at)
        if found and found["space"]:
            return found.end()
        if len(self._buffer) > (found.end() if found else at):
            self.broken = f"{bytes(self._buffer[at : at + _SHOWN_BYTES])!r} does not begin with a length and a space"
        return None


class LineFeed:
    """See `Framing`.

    Args:
        most: The longest message, bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._buffer = bytearray()
        self._skipped = 0
        self.oversized: list[int] = []
        self.broken = ""

    def feed(self, data: bytes) -> list[bytes]:
        """See `Framing.feed`."""
        *lines, rest = data.split(b"\n")
        found: list[bytes] = []
        for line in lines:
            self._add(line)
            found += self._finish()
        self._add(rest)
        return found

    def end(self) -> tuple[list[bytes], int]:
        """See `Framing.end`: a last line without its end counts as one."""
        return self._finish(), 0

    def _add(self, part: bytes) -> None:
        if self._skipped or len(self._buffer) + len(part) > self._most:
            self._skipped += len(self._buffer) + len(part)
            self._buffer.clear()
        else:
            self._buffer += part

    def _finish(self) -> list[bytes]:
        if self._skipped:
            self.oversized.append(self._skipped)
            self._skipped = 0
            return []
        line = bytes(self._buffer)
        self._buffer.clear()
        return [line] if line else []
