"""What the entries of a log say (docs/ledger-format.md), one after the other: keys, settings, segments, heartbeats."""

from __future__ import annotations

import datetime as dt
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from storage.verify.findings import Finding, Kind, Site
from storage.verify.ledger.notes import ED25519, VerifierKey, as_witness, parse_signature, parse_vkey
from storage.verify.ledger.retention import KINDS, SHAPES
from storage.verify.reading import MANIFEST_SHAPE, canonical, document, sha256
from storage.verify.scope import Scope

_SLACK_S = 60.0
_OF_A_PERSON = re.compile(r".+-[0-9a-f]{24}-[0-9a-f]{8}")
"""Ids of the keys of people; those of months have no tag."""
_APPROVERS = 2
_VERSIONS = {"segment": (1, 2, 3)}
"""Of entries, by their type; 1 where it is not named."""
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_TIMED_TYPES = KINDS | {"heartbeat", "keychange", "config", "shred", "offboarding"}
_MOST_SKIPPED = 1_000_000
"""Segments of a chain that a forged number may leave out: each costs memory."""
_NEVER = 253_402_300_799.0  # the last second that has a date
_HEAD = {"v": "number", "type": "text", "namespace": "text"}
_TIMED = {**_HEAD, "at": "text", "builder": {"product": "text", "version": "text"}}
_KEY = {"vkey": "text", "not_before": "text", "not_after": "text", "first_size": "number"}
_SHAPES: dict[str, dict[str, object]] = {
    "segment": MANIFEST_SHAPE,
    "heartbeat": {
        **_TIMED,
        "streams": [{"topic": "text", "partition": "number", "seq": "number", "last_offset": "number"}],
    },
    "keychange": {
        **_TIMED,
        "reason": "text",
        "keys": [_KEY],
        "retired": [{"vkey": "text", "last_size": "number"}],
        "continues": ("text", None),
        "signatures": ["text"],
    },
    "offboarding": {**_TIMED, "collector": "text", "closed_at": "text", "statement": "text"},
    **SHAPES,
    "shred": {**_TIMED, "keys": ["text"], "request": "text", "basis": "text", "approvers": ["text"]},
}
StreamId = tuple[str, int]


@dataclass(slots=True)
class KeyWindow:
    """A key of the log and when it signs; `last_size` is None while it does."""

    key: VerifierKey
    not_before: str
    not_after: str
    first_size: int
    last_size: int | None = None

    def signs(self, size: int) -> bool:
        """Whether a checkpoint of this size must be signed by it."""
        return self.first_size <= size and (self.last_size is None or size <= self.last_size)


@dataclass(slots=True)
class StreamRecord:
    """What the log says of a chain.

    Attributes:
        digests: SHA-256 of the manifests, 32 bytes each, by their number.
        last_offset: Of the newest segment.
        named: When an entry named the stream last, POSIX seconds; `named_text` as the entry has it.
    """

    digests: bytearray = field(default_factory=bytearray)
    last_offset: int = -1
    named: float = 0.0
    named_text: str = ""

    @property
    def count(self) -> int:
        """Segments of the chain that are in the log."""
        return len(self.digests) // 32

    def has(self, seq: int) -> bool:
        """Whether an entry was about this segment; where one of the middle is lost, it is a finding of the log."""
        return seq < self.count and any(self.digests[32 * seq : 32 * seq + 32])

    def digest(self, seq: int) -> str:
        """Hex SHA-256 of a manifest."""
        return self.digests[32 * seq : 32 * seq + 32].hex()


@dataclass(slots=True)
class Told:
    """Everything that the entries of a log say, brought up to date by `take`.

    Attributes:
        site: The log, for findings.
        times: When each entry was made, POSIX seconds, by its index.
        configs: (index, settings) of the `config` entries.
        shredded: Ids of the data keys of which an entry says that they are to be destroyed.
        continues: The checkpoint of the epoch before that entry 0 vouches for.
        retention: (index, entry) of those about policies, holds and what is destroyed.
    """

    site: Site
    origin: str
    scope: Scope
    keys: list[KeyWindow] = field(default_factory=list)
    streams: dict[StreamId, StreamRecord] = field(default_factory=dict)
    times: array[float] = field(default_factory=lambda: array("d"))
    configs: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    continues: str = ""
    retention: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    shredded: set[str] = field(default_factory=set)

    def take(self, index: int, entry: bytes) -> Iterator[Finding]:
        """Read the next entry."""
        value, wrong = read_entry(entry)
        if value is None:
            self.lose()
            yield self._wrong(index, wrong)
            return
        time = _posix(value.get("at") or value.get("sealed_at"))
        self.times.append(time)
        if value["namespace"] != self.site.namespace:
            yield self._wrong(index, f"an entry of the namespace {value['namespace']}", Kind.INSERTED)
            return
        if value["v"] not in _VERSIONS.get(value["type"], (1,)):
            yield self._wrong(index, "the entry is of an unknown version", Kind.UNCHECKED)
        expected = {0: "keychange", 1: "config"}.get(index)
        if expected and value["type"] != expected:
            yield self._wrong(index, f"entry {index} is a {value['type']} and must be a {expected}")
        match value["type"]:
            case "segment":
                yield from self._segment(index, value, entry)
            case "heartbeat":
                yield from self._heartbeat(index, value)
            case "keychange":
                yield from self._keychange(index, value)
            case "config":
                self.configs.append((index, value["settings"]))
            case "offboarding":
                pass  # what it cites is a file outside of the archive
            case kind if kind in KINDS:
                self.retention.append((index, value))
            case "shred" if len(set(value["approvers"])) < _APPROVERS:
                yield self._wrong(index, "data keys are to be destroyed, and not two people approved it")
            case "shred":
                self.shredded.update(value["keys"])
                if any(map(_OF_A_PERSON.fullmatch, value["keys"])):
                    self.retention.append((index, value))
            case other:
                detail = f"an entry of the type {other[:40]!r}, which this version does not know"
                yield self._wrong(index, detail, Kind.UNCHECKED)

    def lose(self) -> None:
        """The next entry can't be read: it counts as made when the one before was."""
        self.times.append(self.times[-1] if self.times else 0.0)

    def witnesses(self) -> list[VerifierKey]:
        """All that the log ever named its witnesses."""
        found: list[VerifierKey] = []
        for _, settings in self.configs:
            named = settings.get("witnesses")
            for text in named if isinstance(named, list) else []:
                try:
                    found.append(as_witness(parse_vkey(text)))
                except (ValueError, AttributeError):
                    continue  # no key: so nobody's cosignature counts for it
        return list(dict.fromkeys(found))

    def silence(self, end: float) -> Iterator[Finding]:
        """Whether the log tells of itself up to a time: its end may have been cut off, or no worker runs.

        Args:
            end: POSIX seconds.
        """
        limit = self.config_at(len(self.times)).get("heartbeat_interval_s")
        # An entry of a wild clock, far ahead, must not keep the log fresh for years.
        last = max((time for time in self.times if time <= end + _SLACK_S), default=0.0)
        if self.streams and isinstance(limit, int) and end - last > limit + _SLACK_S:
            detail = f"the log tells nothing from {_iso(last)} on: no seal worker ran, or its end was cut off"
            yield self.site.finding(Kind.GAP, detail, entry=len(self.times), declared=True)

    def config_at(self, index: int) -> dict[str, Any]:
        """The settings in force at an entry."""
        return next((settings for start, settings in reversed(self.configs) if start <= index), {})

    def _segment(self, index: int, value: dict[str, Any], entry: bytes) -> Iterator[Finding]:
        stream = (value["stream"]["topic"], value["stream"]["partition"])
        known = self.streams.setdefault(stream, StreamRecord())
        seq, first = value["seq"], value["covers"]["first_offset"]
        previous = known.digest(known.count - 1) if known.count else None
        if seq != known.count:
            kind = Kind.DUPLICATE if seq < known.count else Kind.MISSING
            detail = f"segment {seq} follows where segment {known.count} must be"
            yield self._wrong(index, detail, kind, stream=stream, seq=min(seq, known.count))
            if seq < known.count or seq - known.count > _MOST_SKIPPED:
                return
            known.digests.extend(bytes(32 * (seq - known.count)))
        elif value["previous"] != previous:
            detail = f"segment {seq} vouches for another one before it than is in the ledger"
            yield self._wrong(index, detail, stream=stream, seq=seq)
        if known.count and first != known.last_offset + 1:
            kind = Kind.GAP if first > known.last_offset + 1 else Kind.DUPLICATE
            detail = f"segment {seq} begins at offset {first}, the one before ends at {known.last_offset}"
            yield self._wrong(index, detail, kind, stream=stream, seq=seq, offset=known.last_offset + 1)
        yield from self._silence(index, stream, known, value["sealed_at"])
        known.digests.extend(bytes.fromhex(sha256(entry)))
        known.last_offset = value["covers"]["last_offset"]

    def _heartbeat(self, index: int, value: dict[str, Any]) -> Iterator[Finding]:
        for each in value["streams"]:
            stream = (each["topic"], each["partition"])
            known = self.streams.get(stream)
            if known is None or (each["seq"], each["last_offset"]) != (known.count - 1, known.last_offset):
                yield self._wrong(index, "a heartbeat names another segment than the newest one", stream=stream)
            else:
                yield from self._silence(index, stream, known, value["at"])

    def _silence(self, index: int, stream: StreamId, known: StreamRecord, text: str) -> Iterator[Finding]:
        """Somebody must speak of a stream at each interval, or no worker ran."""
        time = _posix(text)
        limit = self.config_at(index).get("heartbeat_interval_s")
        asked = self.scope.holds(known.named, time)
        if known.named and isinstance(limit, int) and time - known.named > limit + _SLACK_S and asked:
            gap = f"{_iso(known.named)} to {_iso(time)}"
            detail = f"nobody sealed anything, not even that nothing came, from {gap}: no seal worker ran"
            yield self._wrong(index, detail, Kind.GAP, stream=stream, declared=True)
        known.named, known.named_text = time, text

    def _keychange(self, index: int, value: dict[str, Any]) -> Iterator[Finding]:
        try:
            coming = [
                KeyWindow(parse_vkey(each["vkey"]), each["not_before"], each["not_after"], each["first_size"])
                for each in value["keys"]
            ]
            retired = {str(parse_vkey(each["vkey"])): each["last_size"] for each in value["retired"]}
            signatures = [parse_signature(line) for line in value["signatures"]]
        except ValueError as exc:
            yield self._wrong(index, f"the change of keys can't be read: {exc}")
            return
        if index == 0:
            self.continues = value["continues"] or ""
        first = index + 1 if index else 0
        before = {str(window.key): window for window in self.keys if window.last_size is None}
        if retired.keys() != before.keys() or any(size != index + 1 for size in retired.values()):
            yield self._wrong(index, "the keys that retire are not those in force", Kind.SIG)
            return
        if not coming or any(new.first_size != first or new.key.name != self.origin for new in coming):
            yield self._wrong(index, "the new keys are not of this log and place", Kind.SIG)
            return
        text = canonical({name: each for name, each in value.items() if name != "signatures"}).decode()
        message = f"skytrail keychange v1\n{text}\n".encode()
        for window in [*before.values(), *coming]:
            if window.key.algorithm != ED25519:
                continue
            signature = window.key.signature_in(signatures)
            if signature is None or not window.key.signed_bytes(message, signature.body):
                yield self._wrong(index, f"the change of keys is not signed by {window.key.key_id.hex()}", Kind.SIG)
                return
        for window in before.values():
            window.last_size = index + 1
        self.keys += coming

    def _wrong(
        self,
        index: int,
        detail: str,
        kind: Kind = Kind.ALTERED,
        *,
        stream: StreamId | None = None,
        seq: int | None = None,
        offset: int | None = None,
        declared: bool = False,
    ) -> Finding:
        return self.site.finding(kind, detail, entry=index, stream=stream, seq=seq, offset=offset, declared=declared)


def read_entry(entry: bytes) -> tuple[dict[str, Any] | None, str]:
    """An entry of the shape of its type, in its only form; of an unknown type only what all entries have.

    Returns:
        None where it is none, and why.
    """
    value, wrong = document(entry, None)
    if value is None:
        return None, f"the entry is {wrong}"
    shape = _SHAPES.get(str(value.get("type")))
    if shape is not None:
        value, wrong = document(entry, shape)
        if value is not None and not (all(map(_is_time, _times(value))) and all(map(_is_moment, _bounds(value)))):
            return None, "the entry has a time that is none"
        return value, f"the entry is {wrong}"
    known = all(isinstance(value.get(name), kind) for name, kind in (("type", str), ("namespace", str), ("v", int)))
    if not known or (value["type"] == "config" and not isinstance(value.get("settings"), dict)):
        return None, "the entry lacks what every entry has"
    if not all(map(_is_time, _times(value))):
        return None, "the entry has a time that is none"
    return value, ""


def _times(value: dict[str, Any]) -> Iterator[Any]:
    """What must be a time in an entry."""
    if value["type"] == "segment":
        yield value["sealed_at"]
    elif value["type"] in _TIMED_TYPES or "at" in value:
        yield value.get("at")


def _bounds(value: dict[str, Any]) -> Iterator[str]:
    """Of what events a hold is about."""
    if value["type"] == "hold":
        yield from filter(None, (value["selector"]["since"], value["selector"]["until"]))


def _is_time(text: Any) -> bool:
    return isinstance(text, str) and _TIME.fullmatch(text) is not None and _is_moment(text)


def _is_moment(text: str) -> bool:
    """Whether it can be compared with other times."""
    try:
        return dt.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _posix(text: Any) -> float:
    try:
        return min(dt.datetime.fromisoformat(text).timestamp(), _NEVER)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _iso(seconds: float) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
