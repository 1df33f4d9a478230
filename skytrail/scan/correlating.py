"""Correlations of a scan: signals are put in the order of time, whatever files they come from, and then judged.

They are judged when all files are read, for the files of other regions and accounts lie side by side, not in the order
of time. Signals beyond what memory should hold wait in files, each in order, that are merged in the end.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import heapq
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import IO, Any, Final

import msgspec

from detectors.correlation.alone import Alone
from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import Signal
from detectors.detection import Detection, EventRef
from ingest.document import utc_millis
from skytrail.scan.found import Hit, Match

IN_MEMORY: Final = 100_000  # signals, about 1 KB each
_LENGTH: Final = 4  # bytes that say how long a signal is

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Signal)


class Correlating:
    """Collects the signals of a scan; `close` gives back the files.

    Attributes:
        left_out: What correlations could not keep, by reason as in `Correlator.notes`; stands when all hits are taken.
        left_out_of: The same by correlation, as in `Correlator.noted`.
    """

    def __init__(self, correlations: Iterable[Correlation], *, in_memory: int = IN_MEMORY) -> None:
        """Begin with none.

        Args:
            correlations: Each behind those it builds upon.
            in_memory: Signals that are held before they are written to a file.
        """
        self.left_out: Counter[str] = Counter()
        self.left_out_of: Counter[tuple[str, str]] = Counter()
        self._router = Router(correlations)
        self._in_memory = in_memory
        self._held: list[Signal] = []
        self._files: list[IO[bytes]] = []
        self._entries: IO[bytes] | None = None

    def add(self, file: str, record: int, uid: str, signal: Signal, entry: str = "") -> None:
        """Take a signal of a record.

        Args:
            file: Name of the file.
            record: Ordinal of the record in it.
            uid: Of the record.
            signal: The signal.
            entry: Timeline entry of the record; waits in a file until an alert shows it.

        Raises:
            OSError: The directory for temporary files is full.
        """
        place = EventRef(index=file, id=f"{record} {uid}", hash="")
        # Received when it happened: in a scan every event is in time.
        self._held.append(
            msgspec.structs.replace(signal, event=place, seen=signal.at, context=self._kept(place, entry))
        )
        if len(self._held) >= self._in_memory:
            self._spill()

    def hits(self) -> Iterator[Hit]:
        """A hit for each alert, in the order of time: the record that completed it."""
        alone = Alone(self._router)
        told: set[str] = set()
        self._held.sort(key=_order)
        for signal in heapq.merge(*map(_read, self._files), self._held, key=_order):
            yield from self._new(alone.follow([signal]), told)
        yield from self._new(alone.finish(), told)
        self.left_out, self.left_out_of = +alone.notes, +alone.noted

    def close(self) -> None:
        """Delete what was written. Harmless when repeated."""
        while self._files:
            self._files.pop().close()
        if self._entries:
            self._entries.close()
            self._entries = None

    def _kept(self, place: EventRef, entry: str) -> dict[str, Any]:
        """Where an entry waits, and of which record it is; nothing for none."""
        if not entry:
            return {}
        if self._entries is None:
            self._entries = tempfile.TemporaryFile(prefix="skytrail-scan-")  # noqa: SIM115 - closed by `close`
        start, text = self._entries.seek(0, os.SEEK_END), entry.encode()
        self._entries.write(text)
        return {"start": start, "size": len(text), "file": place.index, "record": place.id}

    def _entry(self, kept: Mapping[str, Any]) -> str:
        if not kept or self._entries is None:
            return ""
        self._entries.seek(kept["start"])
        return self._entries.read(kept["size"]).decode()

    def _spill(self) -> None:
        self._held.sort(key=_order)
        file = tempfile.TemporaryFile(prefix="skytrail-scan-")  # noqa: SIM115 - closed by `close`
        self._files.append(file)
        for signal in self._held:
            written = _encoder.encode(signal)
            file.write(len(written).to_bytes(_LENGTH, "big") + written)
        file.seek(0)
        self._held.clear()

    def _new(self, detections: Iterable[Detection], told: set[str]) -> Iterator[Hit]:
        for detection in detections:
            if detection.alert not in told:
                told.add(detection.alert)
                yield self._hit(detection)

    def _hit(self, detection: Detection) -> Hit:
        kept = detection.context  # an alert that waited may show the entry of another of its records
        file = kept.get("file", detection.event.index)
        record, _, uid = str(kept.get("record", detection.event.id)).partition(" ")
        match = Match(
            rule=-1,
            ordinal=int(record),
            uid=uid,
            by_leaf=False,
            at=utc_millis(detection.at.astimezone(dt.UTC)),
            principal=detection.principal.display or detection.principal.key,
            reason=detection.reason,
            member=detection.member,
            group_key=detection.group_key,
            entry=self._entry(kept),
            namespace=detection.namespace,
            alert=detection.alert,
        )
        rule = self._router.correlations[detection.rule_id].rule
        return Hit(rule, file, int(record), uid, match)


def from_level(correlations: Sequence[Correlation], severity: int) -> tuple[Correlation, ...]:
    """Those of a severity and above, and silently those they build upon, in the same order."""
    return upon(correlations, {one.id for one in correlations if one.rule.severity >= severity})


def upon(correlations: Sequence[Correlation], wanted: AbstractSet[str]) -> tuple[Correlation, ...]:
    """Those of some ids, and silently those they build upon, in the same order."""
    below: set[str] = set()
    for one in reversed(correlations):  # each stands behind those it builds upon
        if one.id in wanted | below:
            below |= one.chained
    return tuple(
        one if one.id in wanted else dataclasses.replace(one, silent=True)
        for one in correlations
        if one.id in wanted | below
    )


def _order(signal: Signal) -> tuple[int, str, str]:
    return signal.at, signal.member, signal.rule


def _read(file: IO[bytes]) -> Iterator[Signal]:
    while length := file.read(_LENGTH):
        yield _decoder.decode(file.read(int.from_bytes(length, "big")))
