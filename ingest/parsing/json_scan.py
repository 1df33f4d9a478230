"""Finding where JSON values begin and end, without reading them.

The scanner checks the grammar of brackets, commas and colons and keeps its own stack (a byte a level), so a million
levels cost a megabyte and not the interpreter's stack. Scalars inside a value may be anything without structure (`NaN`,
`tru`): whoever reads the record judges them. No string may hold a raw line feed, so a broken line can't swallow the
next.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

BLANK = b" \t\r\n"

_STRING = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"'
_blanks = re.compile(rb"[ \t\r\n]*+")
_key = re.compile(_STRING)
_scalar = re.compile(_STRING + rb'|[^\s,:\[\]{}"]++')
_lone_scalar = re.compile(_STRING + rb"|(?:null|true|false|-?[0-9][0-9.eE+-]*+)(?=[ \t\r\n]|\Z)")

_OBJECT, _LIST = ord("{"), ord("[")
_CLOSES = {_OBJECT: ord("}"), _LIST: ord("]")}
_COMMA, _COLON = ord(","), ord(":")


@dataclass(slots=True)
class Scan:
    """What was found of one top-level value.

    Attributes:
        end: The byte after it, or where the fault is.
        records: Begin and end of its records: the elements of its lists of records, else itself.
        listed: Whether it holds a list of records.
        names: Names of an object's members, as they are written.
        lists: Those of them that are lists of records.
        fault: Why it can't be scanned beyond `end`; empty when it could.
    """

    end: int
    records: list[tuple[int, int]] = field(default_factory=list)
    listed: bool = False
    names: list[bytes] = field(default_factory=list)
    lists: list[bytes] = field(default_factory=list)
    fault: str = ""


def skip_blank(text: bytes | bytearray, at: int) -> int:
    """The first place from `at` on that is not blank."""
    match = _blanks.match(text, at)
    return match.end() if match else at


def scan_value(text: bytes, start: int, stop: int, list_keys: AbstractSet[bytes]) -> Scan:
    """Scan the value that begins at `start` and ends before `stop`.

    Args:
        text: The body; read in place, nothing is copied.
        start: Where the value begins, not blank.
        stop: Where what may be read ends.
        list_keys: Keys whose list makes a top-level object a wrapper: its elements are the records then. A top-level
            array is a list of records always.
    """
    scan = Scan(start)
    if text[start] not in _CLOSES:
        scalar = _lone_scalar.match(text, start, stop)
        if scalar:
            scan.end = scalar.end()
        else:
            scan.fault = "no JSON value begins here"
    else:
        try:
            scan.end = _Container(text, stop, scan, list_keys).end(start)
        except _Fault as fault:
            scan.end, scan.fault = fault.at, fault.why
    if not scan.fault and not scan.listed:
        scan.records.append((start, scan.end))
    return scan


def scan_element(text: bytes | bytearray, start: int, stop: int) -> Scan:
    """Scan the value that begins at `start`, an element or a member of a container: any scalar may stand there.

    Args:
        text: As for `scan_value`.
        start: Where the value begins, not blank.
        stop: Where what may be read ends.
    """
    scan = Scan(start)
    try:
        container = _Container(text, stop, scan, frozenset())
        scan.end = container.end(start) if text[start] in _CLOSES else container.past_scalar(start)
    except _Fault as fault:
        scan.end, scan.fault = fault.at, fault.why
    return scan


class _Fault(Exception):
    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at = at
        self.why = why


class _Container:
    """Scans one top-level object or array, noting its records in `scan`.

    Attributes:
        stack: The containers around the place, a byte each.
        records_at: Length of `stack` inside the list of records we are in; 0 outside of one.
        begun: Where the element of that list begins.
        key: The last key of the top-level object, without quotes.
    """

    def __init__(self, text: bytes | bytearray, stop: int, scan: Scan, list_keys: AbstractSet[bytes]) -> None:
        self.text = text
        self.stop = stop
        self.scan = scan
        self.list_keys = list_keys
        self.stack = bytearray()
        self.records_at = 0
        self.begun = 0
        self.key = b""

    def end(self, at: int) -> int:
        """The byte after the value that begins at `at`.

        Raises:
            _Fault: Where it can't go on.
        """
        while True:  # at the begin of a value
            at = skip_blank(self.text, at)
            if self.records_at and len(self.stack) == self.records_at:
                self.begun = at
            opening = self._byte(at)
            if opening in _CLOSES:
                self._enter(opening)
                at = skip_blank(self.text, at + 1)
                if self._byte(at) != _CLOSES[opening]:
                    at = self._past_key(at) if opening == _OBJECT else at
                    continue
            else:
                at = self.past_scalar(at)
                self._note_record(at)
            while True:  # past a value, or in an empty container
                at = skip_blank(self.text, at)
                found = self._byte(at)
                if found == _COMMA:
                    at = self._past_key(skip_blank(self.text, at + 1)) if self.stack[-1] == _OBJECT else at + 1
                    break
                if found != _CLOSES[self.stack[-1]]:
                    raise _Fault(at, f"a comma or {chr(_CLOSES[self.stack[-1]])} is expected")
                at += 1
                self.stack.pop()
                if not self.stack:
                    return at
                self._note_record(at)

    def _enter(self, opening: int) -> None:
        depth = len(self.stack)
        if opening == _LIST and (
            depth == 0 or (depth == 1 and self.stack[0] == _OBJECT and self.key in self.list_keys)
        ):
            self.records_at = depth + 1
            self.scan.listed = True
            self.scan.lists.append(self.key)
        self.stack.append(opening)

    def _note_record(self, at: int) -> None:
        """A value ended at `at`: it may be a record, or the list of records itself."""
        depth = len(self.stack)
        if self.records_at and depth == self.records_at:
            self.scan.records.append((self.begun, at))
        elif depth < self.records_at:
            self.records_at = 0

    def _past_key(self, at: int) -> int:
        key = _key.match(self.text, at, self.stop)
        if not key:
            raise _Fault(at, "a key in quotes is expected")
        if len(self.stack) == 1:
            self.key = bytes(key.group()[1:-1])
            self.scan.names.append(self.key)
        at = skip_blank(self.text, key.end())
        if self._byte(at) != _COLON:
            raise _Fault(at, "a colon is expected")
        return at + 1

    def past_scalar(self, at: int) -> int:
        """The byte after the scalar that begins at `at`; raises _Fault where none does."""
        scalar = _scalar.match(self.text, at, self.stop)
        if not scalar:
            raise _Fault(at, "a value is expected")
        return scalar.end()

    def _byte(self, at: int) -> int:
        if at >= self.stop:
            raise _Fault(self.stop, "the text ends inside a value")
        return self.text[at]
