"""What others say of a log: cosignatures of witnesses and time stamps, and whether they said it in time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage.verify.findings import Checking, Finding, Kind, Site
from storage.verify.ledger.entries import Told
from storage.verify.ledger.notes import Checkpoint, VerifierKey, as_witness, parse_checkpoint
from storage.verify.ledger.pins import Pins
from storage.verify.ledger.stamps import stamp_time
from storage.verify.places import Place
from storage.verify.reading import sha256

_SIZE = re.compile(r"[0-9]{20}/")
_STAMP = re.compile(r".+-([0-9a-f]{16})\.tsr")
_IN_TIME_S = 120
"""From an entry to a checkpoint with cosignatures over it; of time stamps beyond their interval."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A stored checkpoint."""

    key: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint that agrees with the entries, and when each witness cosigned it, POSIX seconds."""

    size: int
    cosigned: Mapping[VerifierKey, float]


@dataclass(slots=True)
class Anchors:
    """The checkpoints of a log that are kept for ever, with what others said of them."""

    place: Place
    namespace: str
    epoch: str
    found: list[Anchor] = field(default_factory=list)
    _stamps: list[tuple[str, Anchor]] = field(default_factory=list)

    @property
    def root(self) -> str:
        """Their folder."""
        return f"{self.namespace}/anchor/{self.epoch}/"

    def read(self) -> Iterator[Finding]:
        """Find and read them."""
        site = Site(namespace=self.namespace)
        if "anchor/" not in self.place.names(self.namespace):
            return
        if f"{self.epoch}/" not in self.place.names(f"{self.namespace}/anchor"):
            return
        for name in self.place.names(self.root):
            if not _SIZE.fullmatch(name):
                yield site.finding(Kind.INSERTED, "not part of an archive", key=self.root + name.rstrip("/"))
                continue
            yield from self._folder(site, self.root + name, int(name[:-1]))

    def _folder(self, site: Site, folder: str, size: int) -> Iterator[Finding]:
        key = f"{folder}checkpoint"
        raw = self.place.read(key)
        names = self.place.names(folder)
        if raw is None:
            yield site.finding(Kind.MISSING, "the checkpoint that was anchored is gone", key=key)
            return
        try:
            anchor = Anchor(key, parse_checkpoint(raw))
        except ValueError as exc:
            yield site.finding(Kind.ALTERED, f"no checkpoint: {exc}", key=key)
            return
        if anchor.checkpoint.size != size:
            yield site.finding(Kind.ALTERED, f"a checkpoint of {anchor.checkpoint.size} entries", key=key)
            return
        self.found.append(anchor)
        for name in names:
            if _STAMP.fullmatch(name):
                self._stamps.append((folder + name, anchor))
            elif name != "checkpoint":
                yield site.finding(Kind.INSERTED, "not part of an anchor", key=folder + name.rstrip("/"))

    def check(self, told: Told, pins: Pins, witnessed: Sequence[Witnessed]) -> Iterator[Finding]:
        """Time stamps are right, and neither they nor cosignatures are late.

        Args:
            told: What the log says: how many witnesses must cosign, and since when.
            pins: Further witnesses, and whom to believe in matters of time.
            witnessed: All checkpoints that agree with the log.
        """
        by_quorum: list[tuple[int, float]] = []
        early = 0
        for each in witnessed:
            quorum = told.config_at(each.size - 1).get("quorum")
            times = sorted(time for time in each.cosigned.values() if not _is_early(told, each.size, time))
            early += len(each.cosigned) - len(times)
            if isinstance(quorum, int) and 0 < quorum <= len(times):
                by_quorum.append((each.size, times[quorum - 1]))
        asked = next((index for index, settings in told.configs if settings.get("quorum")), None)
        yield from _late(told, asked, by_quorum, _IN_TIME_S, "cosignatures of a quorum of witnesses")
        for witness in map(as_witness, pins.witnesses):
            own = [(each.size, each.cosigned[witness]) for each in witnessed if witness in each.cosigned]
            start = min((size for size, _ in own), default=0)  # whoever became a witness later vouches for all before
            yield from _late(told, start, own, _IN_TIME_S, f"a cosignature of {witness.name}")
        stamped = yield from self._stamped(told, pins, {each.size for each in witnessed})
        early += sum(_is_early(told, size, time) for size, time in stamped)
        if early:
            detail = f"{early} cosignatures and time stamps are older than what they are of: a clock was wrong"
            yield told.site.finding(Kind.UNANCHORED, detail, key=self.root)
        asked = next((index for index, settings in told.configs if settings.get("authorities")), None)
        interval = _number(told.config_at(len(told.times)).get("stamp_interval_s"))
        yield from _late(told, asked, stamped, _IN_TIME_S + interval, "a time stamp")

    def _stamped(self, told: Told, pins: Pins, agreeing: Iterable[int]) -> Checking[list[tuple[int, float]]]:
        """Checks the time stamps; gives size and time of those whose checkpoint agrees with the log."""
        stamped: list[tuple[int, float]] = []
        unchecked: Counter[str] = Counter()
        for key, anchor in self._stamps:
            stored = self.place.read(key) or b""
            # Its signature leaves some bytes of a reply free (RFC 3161 §2.4.2, RFC 5652 §5.4): the name covers them.
            if not key.endswith(f"-{sha256(stored)[:16]}.tsr"):
                yield told.site.finding(Kind.ALTERED, "not the time stamp that its name tells", key=key)
                continue
            time, kind, wrong = stamp_time(stored, anchor.checkpoint.raw, pins.authorities)
            if kind is Kind.UNCHECKED:
                unchecked[wrong] += 1
            elif kind is not None:
                yield told.site.finding(kind, wrong, key=key)
            if time is not None and anchor.checkpoint.size in agreeing:
                stamped.append((anchor.checkpoint.size, time))
        for wrong, count in unchecked.items():
            yield told.site.finding(Kind.UNCHECKED, f"{count} time stamps: {wrong}", key=self.root)
        return stamped


def _late(
    told: Told, start: int | None, anchored: Sequence[tuple[int, float]], limit: float, what: str
) -> Iterator[Finding]:
    """Entries that waited longer than they may.

    Args:
        start: First entry that must be anchored; None where none must be.
        anchored: Sizes of the log, and when an anchor covered them.
        limit: Seconds.
    """
    if start is None:
        return
    size, covered = len(told.times), start
    for end, time in sorted(anchored):
        if end <= covered or _is_early(told, end, time):
            continue
        if time - told.times[covered] > limit and told.scope.holds(told.times[covered], time):
            seconds = round(time - told.times[covered])
            detail = f"entries {covered} to {end - 1} waited {seconds} s for {what}"
            yield told.site.finding(Kind.UNANCHORED, detail, entry=covered)
        covered = end
    newest = told.scope.end or max(told.times, default=0.0)
    if covered < size and newest - told.times[covered] > limit:
        detail = f"entries {covered} to {size - 1} have not {what}"
        yield told.site.finding(Kind.UNANCHORED, detail, entry=covered)


def _is_early(told: Told, size: int, time: float) -> bool:
    """Whether an anchor is older than the newest entry it covers: then one of both clocks told no true time."""
    return 0 < size <= len(told.times) and told.times[size - 1] - time > _IN_TIME_S


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
