"""Cuts a JSON document of records into bodies of bounded size while it is read. Pure: works on what was read so far.

A document is one value: an array of records, or an object that holds them under one of its format's keys. The first
body begins as the document does, so that its format and what it says of all its records can be read there; the others
are arrays. Records stay exactly as they are written, and their order, too.

Where a body may end is guessed, at the beginning of what looks like another record, and then proved: what lies before
is parsed as a list. Where no guess holds, the document is scanned value by value, which is slower.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from ingest.parsing.json_scan import BLANK, scan_element, skip_blank
from ingest.schema.errors import MalformedBody

_GUESSES: Final = 16  # places at which a body is tried to end; each costs a parse of the body
_GAP: Final = 64  # bytes of white space between two records that a guess looks behind
_first_key = re.compile(rb'\{[ \t\r\n]*"[^"\\\n]{1,100}"')
_decode = msgspec.json.Decoder(msgspec.Raw).decode
_QUOTE, _COMMA, _COLON, _BEGIN, _END, _OPEN, _CLOSE = b'",:[]{}'


class Inflow:
    """Input that is read when it is needed.

    Attributes:
        held: What was read and not yet given on.
        gone: Bytes that were given on before it.
        fault: Why the input ended early; None when it did not.
    """

    def __init__(self, chunks: Iterable[bytes], limit: int) -> None:
        """Read nothing yet.

        Args:
            chunks: The input.
            limit: The most bytes that are held.
        """
        self.held = bytearray()
        self.gone = 0
        self.fault: MalformedBody | None = None
        self._source = iter(chunks)
        self._limit = limit

    def more(self) -> bool:
        """Read on; whether there was more.

        Raises:
            MalformedBody: What is held already is beyond the limit.
        """
        if len(self.held) > self._limit:
            raise MalformedBody(
                f"reading body: more than {self._limit} bytes without a place to cut it",
                where=f"byte {self.gone}",
                mend="write one record a line, or split the document",
            )
        try:
            chunk = next(self._source, b"")
        except MalformedBody as exc:
            self.fault = exc
            return False
        self.held += chunk
        return bool(chunk)

    def reach(self, size: int) -> None:
        """Hold so many bytes, if the input has them."""
        while len(self.held) < size and self.more():
            pass

    def take(self, end: int) -> bytes:
        """Give on the first bytes of what is held."""
        taken = bytes(self.held[:end])
        del self.held[:end]
        self.gone += end
        return taken


@dataclass(frozen=True, slots=True)
class _Part:
    """Some elements of a list.

    Attributes:
        end: The byte after the last of them.
        then: Where the next element begins, or the byte after the list.
        last: Whether the list ends with them.
        fault: Why it can't be read behind them.
    """

    end: int
    then: int
    last: bool = False
    fault: MalformedBody | None = None


class DocumentCut:
    """Cuts the value that begins where an inflow stands; afterwards that stands behind the value."""

    def __init__(self, inflow: Inflow, size: int, list_keys: Collection[bytes]) -> None:
        """Cut nothing yet.

        Args:
            inflow: The input.
            size: Bytes after which a body may end.
            list_keys: Keys whose list in an object makes it a wrapper of records.
        """
        self._inflow = inflow
        self._size = size
        self._list_keys = list_keys
        self._given = False

    def bodies(self) -> Iterator[bytes]:
        """Bodies that together have the records of the value.

        Raises:
            MalformedBody: Where it can't be read on, or as the input raised; the records before were given.
        """
        at = self._past_blank(3 if self._inflow.held.startswith(b"\xef\xbb\xbf") else 0)
        if self._byte(at) == _BEGIN:
            at = yield from self._list(at + 1, b"]")
        else:
            at = yield from self._object(at)
        body = self._inflow.take(at)
        if not self._given:
            yield body

    def _object(self, at: int) -> Generator[bytes, None, int]:
        """Bodies of an object; returns the byte after it."""
        at = self._past_blank(at + 1)
        if self._byte(at) == _CLOSE:
            return at + 1
        while True:
            if self._byte(at) != _QUOTE:
                raise self._fault(at, "a key in quotes is expected")
            end = self._value_end(at)
            key = bytes(self._inflow.held[at + 1 : end - 1])
            at = self._past_blank(end)
            if self._byte(at) != _COLON:
                raise self._fault(at, "a colon is expected")
            at = self._past_blank(at + 1)
            if self._byte(at) == _BEGIN and key in self._list_keys:
                at = yield from self._list(at + 1, b"]}")
            else:
                at = self._value_end(at)
            at = self._past_blank(at)
            found = self._byte(at)
            if found == _CLOSE:
                return at + 1
            if found != _COMMA:
                raise self._fault(at, "a comma or } is expected")
            at = self._past_blank(at + 1)
            if self._given:  # nobody needs what is between the lists of a wrapper
                self._inflow.take(at)
                at = 0

    def _list(self, at: int, closing: bytes) -> Generator[bytes, None, int]:
        """Bodies of the elements of a list; returns the byte after it."""
        at = self._past_blank(at)
        if self._byte(at) == _END:
            return at + 1
        while True:
            self._inflow.reach(at + self._size)
            part = self._guessed(at) or self._scanned(at)
            if part.end > at:
                body = self._inflow.take(part.end)
                yield (b"[" + body[at:] + b"]") if self._given else body + closing
                self._given = True
                part = _Part(0, part.then - part.end, part.last, part.fault)
            if part.fault:
                raise part.fault
            if part.last:
                return part.then
            self._inflow.take(part.then)
            at = 0

    def _guessed(self, at: int) -> _Part | None:
        """The elements from a place on, as many as are there; None where no guess holds."""
        held = self._inflow.held
        first = _first_key.match(held, at)
        if not first:
            return None
        mark, place = first.group(), len(held)
        for _ in range(_GUESSES):
            place = held.rfind(mark, at + 1, place)
            if place < 0:
                return None
            gap = held[max(at, place - _GAP) : place]
            before = gap.rstrip(BLANK)
            comma = place - len(gap) + len(before) - 1
            if before.endswith(b",") and _is_list(bytes(held[at:comma])):
                return _Part(comma, place)
        return None

    def _scanned(self, at: int) -> _Part:
        """The elements from a place on, of the size of a body or until the list ends."""
        place = end = at
        try:
            while True:
                end = self._value_end(place)
                place = self._past_blank(end)
                found = self._byte(place)
                if found == _END:
                    return _Part(end, place + 1, last=True)
                if found != _COMMA:
                    raise self._fault(place, "a comma or ] is expected")
                place = self._past_blank(place + 1)
                if place - at >= self._size:
                    return _Part(end, place)
        except MalformedBody as exc:
            return _Part(end, end, fault=exc)

    def _value_end(self, at: int) -> int:
        """The byte after the value that begins at a place; reads as much as that takes."""
        inflow = self._inflow
        self._byte(at)
        while True:
            scan = scan_element(inflow.held, at, len(inflow.held))
            if not scan.fault and scan.end < len(inflow.held):
                return scan.end
            if scan.fault and not self._is_unfinished(scan.end):
                raise self._fault(scan.end, scan.fault)
            had = len(inflow.held)
            inflow.reach(had + max(had - at, self._size))  # twice as much: scanning it again stays linear
            if len(inflow.held) == had:
                if scan.fault:
                    raise self._fault(scan.end, scan.fault)
                return scan.end

    def _is_unfinished(self, at: int) -> bool:
        """Whether a fault may only be that more was not yet read: at the end, or in a string that has no end yet."""
        held = self._inflow.held
        return at >= len(held) or (held[at] == _QUOTE and held.find(b"\n", at) < 0)

    def _past_blank(self, at: int) -> int:
        inflow = self._inflow
        while True:
            at = skip_blank(inflow.held, at)
            if at < len(inflow.held) or not inflow.more():
                return at

    def _byte(self, at: int) -> int:
        if at >= len(self._inflow.held) and not self._inflow.more():
            raise self._fault(at, "the text ends inside a value")
        return self._inflow.held[at]

    def _fault(self, at: int, why: str) -> MalformedBody:
        """What is to be told; of input that ended early, why it did."""
        return self._inflow.fault or MalformedBody(
            f"splitting body: {why}",
            where=f"byte {self._inflow.gone + at}",
            mend="the records before it were taken; fetch the body again, or mend what writes it",
        )


def _is_list(elements: bytes) -> bool:
    try:
        _decode(b"[" + elements + b"]")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True
