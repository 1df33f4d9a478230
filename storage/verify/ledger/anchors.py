"""What others say of a log: cosignatures of witnesses and time stamps, and whether they said it in time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage.verify.findings import Checking, Finding, Kind, Site
from storage.verify.ledger.entries import Told
from storage.verify.ledger.notes import COSIGNATURE, Checkpoint, VerifierKey, parse_checkpoint, parse_vkey, time_of
from storage.verify.ledger.pins import Pins
from storage.verify.ledger.stamps import stamp_time
from storage.verify.places import Place

_SIZE = re.compile(r"[0-9]{20}/")
_IN_TIME_S = 120
"""From an entry to a checkpoint with cosignatures over it; of time stamps beyond their interval."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A stored checkpoint."""

    key: str
    checkpoint: Checkpoint


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
            if name.endswith(".tsr"):
                self._stamps.append((folder + name, anchor))
            elif name != "checkpoint":
                yield site.finding(Kind.INSERTED, "not part of an anchor", key=folder + name.rstrip("/"))

    def check(self, told: Told, pins: Pins, size: int) -> Iterator[Finding]:
        """Cosignatures and stamps are right, and none is late.

        Args:
            told: What the log says: who its witnesses are, and since when.
            pins: Further witnesses, and whom to believe in matters of time.
            size: Entries of the log.
        """
        witnesses = _witnesses(told, pins)
        witnessed: list[tuple[int, float]] = []
        for anchor in self.found:
            times = yield from _cosigned(anchor, witnesses, told)
            quorum = told.config_at(anchor.checkpoint.size - 1).get("quorum")
            if isinstance(quorum, int) and 0 < quorum <= len(times):
                witnessed.append((anchor.checkpoint.size, sorted(times)[quorum - 1]))
        stamped: list[tuple[int, float]] = []
        for key, anchor in self._stamps:
            stored = self.place.read(key) or b""
            time, kind, wrong = stamp_time(stored, anchor.checkpoint.raw, pins.authorities)
            if kind is not None:
                yield told.site.finding(kind, wrong, key=key)
            if time is not None:
                stamped.append((anchor.checkpoint.size, time))
        yield from _late(told, size, witnessed, "quorum", "cosignatures of a quorum of witnesses")
        yield from _late(told, size, stamped, "authorities", "a time stamp")


def _witnesses(told: Told, pins: Pins) -> list[VerifierKey]:
    """Those that the log ever named, and those that are pinned."""
    found = list(pins.witnesses)
    for _, settings in told.configs:
        named = settings.get("witnesses")
        for text in named if isinstance(named, list) else []:
            try:
                found.append(parse_vkey(text))
            except (ValueError, AttributeError):
                continue  # no key: so nobody's cosignature counts for it
    return list(dict.fromkeys(found))


def _cosigned(anchor: Anchor, witnesses: Sequence[VerifierKey], told: Told) -> Checking[list[float]]:
    """Checks the cosignatures of a checkpoint; gives the times of the right ones."""
    times: list[float] = []
    ours = {(window.key.name, window.key.key_id) for window in told.keys}
    by_id = {(key.name, key.key_id): key for key in witnesses if key.algorithm == COSIGNATURE}
    for signature in anchor.checkpoint.signatures:
        who = (signature.name, signature.key_id)
        if who in ours:
            continue
        if who not in by_id:
            yield told.site.finding(
                Kind.SIG, f"signed by {signature.name}, which nobody named a witness", key=anchor.key
            )
        elif not by_id[who].signed(anchor.checkpoint, signature):
            yield told.site.finding(Kind.SIG, f"the cosignature of {signature.name} is wrong", key=anchor.key)
        else:
            times.append(float(time_of(signature)))
            del by_id[who]
    return times


def _late(told: Told, size: int, anchored: Sequence[tuple[int, float]], setting: str, what: str) -> Iterator[Finding]:
    """Entries that waited longer than they may, from the first setting on that asks for such anchors."""
    asked = [(index, settings) for index, settings in told.configs if settings.get(setting)]
    if not asked:
        return
    covered = asked[0][0]
    limit = _IN_TIME_S + (_number(asked[-1][1].get("stamp_interval_s")) if setting == "authorities" else 0)
    for end, time in sorted(anchored):
        if end > covered:
            if time - told.times[covered] > limit and _in_range(told, covered):
                seconds = round(time - told.times[covered])
                detail = f"entries {covered} to {end - 1} waited {seconds} s for {what}"
                yield told.site.finding(Kind.UNANCHORED, detail, entry=covered)
            covered = end
    if covered < size and told.times[size - 1] - told.times[covered] > limit:
        detail = f"entries {covered} to {size - 1} have not {what}"
        yield told.site.finding(Kind.UNANCHORED, detail, entry=covered)


def _in_range(told: Told, index: int) -> bool:
    time = told.times[index]
    return (told.since is None or time >= told.since.timestamp()) and (
        told.until is None or time < told.until.timestamp()
    )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
