"""Cutting a body into its records: exact byte slices, in order, never re-serialised.

Bodies come as a wrapper object whose list holds the records, an array, one value a line (NDJSON), several values one
after another, or a single object over any number of lines. What is inside a record is not judged here: a record that is
no JSON of its format is delivered too and refused alone, so its neighbours are unharmed.

The slices are copies: a record kept for long does not keep a body of many megabytes alive.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Generator, Iterator, Mapping

import msgspec

from ingest.parsing.json_scan import BLANK, Scan, scan_value, skip_blank
from ingest.parsing.wrappers import strange_beside
from ingest.schema.errors import MalformedBody

_BOM = b"\xef\xbb\xbf"
_BESIDE = frozenset(("kind", "apiVersion", "metadata", "nextLink", "NextToken", "nextToken", "@odata.context"))
"""What stands beside the empty list of an answer that found nothing."""
_NAMED = 5
"""Of the members that nobody knows, so many are named."""
Claims = Callable[[bytes], bool]
_elements = msgspec.json.Decoder(list[msgspec.Raw])
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_value = msgspec.json.Decoder(msgspec.Raw)


def is_json(body: bytes) -> bool:
    """Whether a body or record begins like JSON objects or an array, and not like lines of text."""
    return body[:64].removeprefix(_BOM).lstrip(BLANK)[:1] in (b"{", b"[")


def split_objects(body: bytes, list_keys: tuple[str, ...], claims: Claims = lambda _value: False) -> Iterator[bytes]:
    """Yield the records of a body; a blank body gives none, a byte-order mark before the first is skipped.

    A line that is broken among complete lines is yielded as it is. Elsewhere a fault ends the body, because what
    follows can't be told apart: the records before it are delivered first.

    Args:
        body: The inflated bytes.
        list_keys: Keys whose array in a top-level object makes it a wrapper of records (`Records`, `items`). Where all
            of them are empty and the object says something else, it is a record itself: nothing may vanish.
        claims: Whether a value is a record, asked where something that no wrapper has stands beside a list that is not
            empty. The object is one record then if it is one, or if none in the list is.

    Raises:
        MalformedBody: At the first byte that can't be split, naming it. Or behind the last record, if beside a list of
            records something stood that is in none of them: then the body must be kept.
    """
    text = body.removeprefix(_BOM)
    whole = _plain(text.strip(BLANK), list_keys)
    if whole is not None:
        yield from whole
        return
    try:
        yield from _Lines(text, list_keys, claims).records()
    except _Unsplittable as fault:
        raise MalformedBody(
            f"splitting body: {fault}", where=f"byte {len(body) - len(text) + fault.at}", mend=fault.mend
        ) from fault


def _plain(value: bytes, list_keys: tuple[str, ...]) -> list[bytes] | None:
    """The records of a body or line that is blank or one plain JSON value; None when the scanner has to look closer."""
    if not value:
        return []
    try:
        if value.startswith(b"["):
            return list(map(bytes, _elements.decode(value)))
        if not value.startswith(b"{"):
            _value.decode(value)
            return [value]
        decoder, bare = _wrapping(list_keys)
        return [value] if decoder.decode(value) == bare else _of_wrapper(value, list_keys)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


@functools.cache
def _wrapping(list_keys: tuple[str, ...]) -> tuple[msgspec.json.Decoder[msgspec.Struct], msgspec.Struct]:
    """Reads of an object only which of these keys it has, and what an object without any reads as.

    A search for each key through all bytes would cost several times as much.
    """
    fields = [(f"key{place}", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for place in range(len(list_keys))]
    names = {name: key for (name, _, _), key in zip(fields, list_keys, strict=True)}
    wrapper = msgspec.defstruct("Wrapper", fields, rename=names)
    return msgspec.json.Decoder(wrapper), wrapper()


def _of_wrapper(value: bytes, list_keys: tuple[str, ...]) -> list[bytes] | None:
    members = _members.decode(value)
    if len(value) != 1 + sum(len(key) + 4 + memoryview(raw).nbytes for key, raw in members.items()):
        return None  # blanks between members, or a key that occurs twice: decoding kept only its last list
    lists = {key: raw for key, raw in members.items() if key in list_keys and bytes(memoryview(raw)[:1]) == b"["}
    found = [bytes(element) for raw in lists.values() for element in _elements.decode(raw)]
    if found and strange_beside(members, lists):
        return None
    return found if found or (lists and not _says_more(members, list_keys)) else [value]


def _says_more(members: Mapping[str, msgspec.Raw], list_keys: Container[str]) -> bool:
    """Whether an object whose lists hold no record says anything else: then it is no empty wrapper, but a record."""
    for key, raw in members.items():
        begin = bytes(memoryview(raw)[:1])
        if not (begin == b"[" if key in list_keys else key in _BESIDE and (begin not in b"[{" or bytes(raw) == b"{}")):
            return True
    return False


class _Unsplittable(Exception):
    mend = "the records before it were taken; fetch the body again, or mend what writes it"

    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at = at


class _LeftOver(_Unsplittable):
    mend = (
        "its records were taken, and the body is kept for what stands beside them; mend what writes it, "
        "or report a member that the vendor has added"
    )


class _Lines:
    """A body that is not one plain value: read line by line, and value by value where a line is not plain.

    Attributes:
        spare: Bytes that attempts over several lines may waste; keeps the work linear in the size of the body.
        complete: Whether some line was complete by itself, so that a fault concerns its line only.
        left: The first wrapper with something beside its records that is in none of them.
    """

    def __init__(self, text: bytes, list_keys: tuple[str, ...], claims: Claims) -> None:
        self.text = text
        self.list_keys = list_keys
        self.claims = claims
        self.left: _LeftOver | None = None
        self.key_bytes = frozenset(key.encode() for key in list_keys)
        self.spare = len(text)
        self.complete = False

    def records(self) -> Iterator[bytes]:
        """Every record, or those before the fault.

        Raises:
            _Unsplittable: At the fault.
        """
        at = 0
        while at < len(self.text):
            end = self._line_end(at)
            line = self.text[at:end].strip(BLANK)
            found = _plain(line, self.list_keys)
            if found is None:
                at = yield from self._values(at, end)
            else:
                self.complete = self.complete or line[:1] in (b"{", b"[")
                yield from found
                at = end + 1
        if self.left:
            raise self.left

    def _values(self, at: int, end: int) -> Generator[bytes, None, int]:
        """The values that begin on a line and may reach over several; returns the place behind them."""
        first_end = end
        while (at := skip_blank(self.text, at)) < end:
            reach = len(self.text) if self.spare > 0 else end
            scan = scan_value(self.text, at, reach, self.key_bytes)
            if scan.fault and self._concerns_line_only(end, listed=scan.listed):
                self.spare -= scan.end - at
                yield self.text[at:end].strip(BLANK)
                return end + 1
            if scan.lists and scan.names and not scan.fault:
                yield from self._of_wrapper(at, scan)
            else:
                for start, stop in scan.records:
                    yield self.text[start:stop]
            if scan.fault:
                raise _Unsplittable(scan.end, scan.fault)
            at = scan.end
            end = end if at <= end else self._line_end(at)
        self.complete = self.complete or end == first_end
        return at

    def _of_wrapper(self, at: int, scan: Scan) -> Iterator[bytes]:
        """The records of an object with lists of them; itself where it is a record with such a list."""
        if not scan.records:
            yield from self._of_empty(self.text[at : scan.end])
            return
        names = [name.decode("utf-8", "replace") for name in scan.names]
        strange = strange_beside(names, {name.decode() for name in scan.lists})
        if strange:
            whole = self.text[at : scan.end]
            if self.claims(whole) or not any(self.claims(self.text[start:stop]) for start, stop in scan.records):
                yield whole
                return
            told = ", ".join(ascii(name[:40]) for name in strange[:_NAMED])
            self.left = self.left or _LeftOver(at, f"beside records stands what no wrapper has: {told}")
        for start, stop in scan.records:
            yield self.text[start:stop]

    def _of_empty(self, value: bytes) -> list[bytes]:
        """An object without a record in its lists, unless it is an empty wrapper."""
        try:
            members = _members.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [value]
        return [value] if _says_more(members, self.list_keys) else []

    def _concerns_line_only(self, end: int, *, listed: bool) -> bool:
        """Whether the lines around a faulty one stand for themselves.

        The last element of an array with one element a line is complete by itself, too: inside a list of records only
        the very next line counts.
        """
        while not self.complete and end < len(self.text):
            start, end = end + 1, self._line_end(end + 1)
            if self.text[start : start + 1] in (b"{", b"["):
                scan = scan_value(self.text, start, end, self.key_bytes)
                self.complete = not scan.fault and skip_blank(self.text, scan.end) >= end
            if listed and self.text[start:end].strip(BLANK):
                break
        return self.complete

    def _line_end(self, at: int) -> int:
        found = self.text.find(b"\n", at)
        return len(self.text) if found < 0 else found
