"""Checks the logs of one namespace and gives what they vouch for to the check of its segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from storage.verify.findings import Checking, Finding, Kind, Site, Summary
from storage.verify.ledger.entries import StreamId, StreamRecord
from storage.verify.ledger.log import LogCheck
from storage.verify.ledger.retention import Lawful
from storage.verify.places import Place
from storage.verify.scope import Scope


@dataclass(slots=True)
class Vouched:
    """What the newest log of a namespace vouches for.

    Attributes:
        sound: The entries are those that the checkpoint covers.
        streams: Its chains.
        last: When its newest entry was made, POSIX seconds.
        origins: Of all logs of the namespace.
        lawful: What they say about retention.
    """

    sound: bool = False
    streams: dict[StreamId, StreamRecord] = field(default_factory=dict)
    last: float = 0.0
    origins: set[str] = field(default_factory=set)
    lawful: Lawful = field(default_factory=lambda: Lawful(""))


def check_logs(place: Place, namespace: str, scope: Scope, summary: Summary) -> Checking[Vouched]:
    """Everything that is wrong with the logs of a namespace, and what they vouch for.

    The newest epoch is read first: it vouches for the one before.
    """
    vouched = Vouched(lawful=Lawful(namespace))
    told: list[tuple[int, dict[str, Any]]] = []
    site = Site(namespace=namespace)
    epochs: list[str] = []
    for name in place.names(f"{namespace}/log"):
        if name[:-1].isdecimal() and name.endswith("/"):
            epochs.append(name[:-1])
        else:
            yield site.finding(Kind.INSERTED, "no log, among logs", key=f"{namespace}/log/{name.rstrip('/')}")
    continued = ""
    for number, epoch in enumerate(sorted(epochs, key=int, reverse=True)):
        log = LogCheck(place, namespace, epoch, scope, summary, continued)
        yield from log.check()
        if log.head is None:
            continue
        vouched.origins.add(log.head.origin)
        continued = log.told.continues
        told = [*log.told.retention, *told]
        if log.sound:
            vouched.lawful.shredded |= log.told.shredded
        if number == 0:
            vouched.sound = log.sound
            vouched.streams = log.told.streams
            vouched.last = max(log.told.times, default=0.0)
        else:
            yield from _same_chains(log, vouched)
    for index, value in told:
        vouched.lawful.take(index, value)
    yield from vouched.lawful.findings
    if "anchor/" in place.names(namespace):
        for name in place.names(f"{namespace}/anchor"):
            if name.rstrip("/") not in epochs:
                key = f"{namespace}/anchor/{name.rstrip('/')}"
                yield site.finding(Kind.MISSING, "anchors of a log that is not here", key=key)
    return vouched


def lawful_of(place: Place, namespace: str) -> Lawful:
    """What a sound ledger of a namespace says about retention; nothing where there is none.

    Raises:
        OSError: The archive can't be read.
    """
    if f"{namespace}/" not in place.names("") or "log/" not in place.names(namespace):
        return Lawful(namespace)
    checking = check_logs(place, namespace, Scope(), Summary())
    while True:
        try:
            next(checking)
        except StopIteration as end:
            vouched: Vouched = end.value
            return vouched.lawful if vouched.sound else Lawful(namespace)


def _same_chains(old: LogCheck, newest: Vouched) -> Iterator[Finding]:
    """An earlier epoch has no other segments than the newest one."""
    for stream, known in old.told.streams.items():
        later = newest.streams.get(stream, StreamRecord())
        common = min(known.count, later.count)
        if known.digests[: 32 * common] != later.digests[: 32 * common]:
            seq = next(seq for seq in range(common) if known.digest(seq) != later.digest(seq))
            detail = "two epochs of the ledger have different segments"
            yield old.site.finding(Kind.SPLIT_VIEW, detail, stream=stream, seq=seq)
        elif known.count > later.count:
            detail = f"the newest epoch lacks segments {later.count} to {known.count - 1}"
            yield old.site.finding(Kind.MISSING, detail, stream=stream, seq=later.count)
