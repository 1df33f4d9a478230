"""What an entry of the ledger says (docs/ledger-format.md). An entry is canonical JSON; a `segment` is its manifest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from ingest.schema.errors import IntegrityError
from storage.archive.manifest import Builder, canonical, digest, instant
from storage.archive.segment import BUILDER
from storage.ledger.signing import NoteSigner, VerifierKey

VERSION = 1
MAX_STREAMS = 256  # of one heartbeat: keeps it far below 64 KiB


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as a heartbeat names it."""

    topic: str
    partition: int
    seq: int
    last_offset: int


class Tip(msgspec.Struct, frozen=True, kw_only=True):
    """The newest segment of a stream that is in the ledger.

    Attributes:
        sha256: Of the entry.
        at: When an entry named the stream last.
    """

    topic: str
    partition: int
    seq: int
    last_offset: int
    sha256: str
    at: str


Tips = dict[tuple[str, int], Tip]


class KeyInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A key that signs from an entry on."""

    vkey: str
    not_before: str
    not_after: str
    first_size: int


class RetiredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that signs up to a size."""

    vkey: str
    last_size: int


class _Stream(msgspec.Struct, frozen=True):
    topic: str
    partition: int


class _Covers(msgspec.Struct, frozen=True):
    first_offset: int
    last_offset: int


class _Any(msgspec.Struct, frozen=True):
    """What is read back of an entry of any type."""

    type: str
    namespace: str
    at: str = ""
    sealed_at: str = ""
    seq: int = -1
    previous: str | None = None
    stream: _Stream | None = None
    covers: _Covers | None = None
    streams: list[Streamed] = []


_decoder = msgspec.json.Decoder(_Any)


def heartbeat(namespace: str, now: dt.datetime, streams: Sequence[Streamed]) -> bytes:
    """States that these chains had no segment up to now."""
    return canonical(head("heartbeat", namespace, now) | {"streams": streams})


def config(namespace: str, now: dt.datetime, settings: dict[str, Any]) -> bytes:
    """States by what the log is kept from now on."""
    return canonical(head("config", namespace, now) | {"settings": settings})


def offboarding(namespace: str, now: dt.datetime, *, collector: str, closed_at: str, statement: str) -> bytes:
    """States that a source ended.

    Args:
        namespace: Of the log.
        now: The present.
        collector: Name of the collector that was closed.
        closed_at: When it was closed.
        statement: Hex SHA-256 of what is stated of the source (docs/sources.md).
    """
    told = {"collector": collector, "closed_at": closed_at, "statement": statement}
    return canonical(head("offboarding", namespace, now) | told)


def shred(
    namespace: str, now: dt.datetime, *, keys: Sequence[str], request: str, basis: str, approvers: Sequence[str]
) -> bytes:
    """States that data keys are to be destroyed, before they are.

    Args:
        keys: Their ids.
        request: What asked for it; a reference, no personal data: entries stay for ever.
        basis: By which rule it is done.
        approvers: Who approved it, two at least.
    """
    told = {"keys": sorted(keys), "request": request, "basis": basis, "approvers": sorted(approvers)}
    return canonical(head("shred", namespace, now) | told)


def keychange(
    namespace: str,
    now: dt.datetime,
    *,
    reason: str,
    keys: Sequence[KeyInForce],
    retired: Sequence[RetiredKey],
    continues: str | None,
    signers: Sequence[NoteSigner],
) -> bytes:
    """States which keys sign from now on, signed by the retiring and the new Ed25519 key.

    Args:
        signers: Those keys in this order.
    """
    entry = head("keychange", namespace, now)
    entry |= {"reason": reason, "keys": keys, "retired": retired, "continues": continues}
    text = f"skytrail keychange v1\n{canonical(entry).decode()}\n"
    lines = [signer.sign(text, 0).line.rstrip("\n") for signer in signers]
    return canonical(entry | {"signatures": lines})


def in_force(keys: Sequence[VerifierKey], window: tuple[str, str], first_size: int) -> list[KeyInForce]:
    """The keys of a pair as a `keychange` lists them."""
    return [KeyInForce(vkey=str(key), not_before=window[0], not_after=window[1], first_size=first_size) for key in keys]


def advanced(tips: Tips, namespace: str, entries: Sequence[bytes]) -> Tips:
    """The tips after these entries.

    Raises:
        IntegrityError: A segment does not follow the one before, or an entry is of another namespace.
    """
    after = dict(tips)
    for entry in entries:
        read = _decoder.decode(entry)
        if read.namespace != namespace:
            raise IntegrityError(f"appending to the ledger of {namespace}: an entry of {read.namespace}")
        if read.type == "segment" and read.stream and read.covers:
            place = read.stream.topic, read.stream.partition
            _check_follows(after.get(place), read)
            after[place] = Tip(
                topic=place[0],
                partition=place[1],
                seq=read.seq,
                last_offset=read.covers.last_offset,
                sha256=digest(entry),
                at=read.sealed_at,
            )
        for stream in read.streams:
            place = stream.topic, stream.partition
            tip = after.get(place)
            if tip is None or (tip.seq, tip.last_offset) != (stream.seq, stream.last_offset):
                raise IntegrityError(f"appending to the ledger of {namespace}: a heartbeat of {place} names no tip")
            after[place] = msgspec.structs.replace(tip, at=read.at)
    return after


def _check_follows(tip: Tip | None, read: _Any) -> None:
    assert read.stream is not None
    assert read.covers is not None
    expected = (0, None) if tip is None else (tip.seq + 1, tip.sha256)
    offsets_follow = tip is None or read.covers.first_offset == tip.last_offset + 1
    if (read.seq, read.previous) != expected or not offsets_follow:
        raise IntegrityError(
            f"appending to the ledger: segment {read.seq} does not follow what the ledger has of its chain",
            where=f"{read.namespace}/seg/{read.stream.topic}/{read.stream.partition}",
        )


def head(kind: str, namespace: str, now: dt.datetime) -> dict[str, Any]:
    """What every entry but a `segment` begins with."""
    builder: Builder = BUILDER
    return {"v": VERSION, "type": kind, "namespace": namespace, "at": instant(now), "builder": builder}
