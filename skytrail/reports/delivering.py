"""Puts reports where nobody changes them: one per period, whole or not at all, however often it is tried.

The files of a report lie under ``<delivery>/<period>/<time of making>/``. When all of them are there, the receipt
``<delivery>/<period>/delivered.json`` names that folder: who finds it delivers nothing more for this period. A try that
was stopped leaves a folder that no receipt names; the next one makes a report of its own, since its evidence is newer.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ingest.schema.errors import AlreadyExists, IntegrityError
from skytrail.reports.files import DOCUMENT, files_of
from skytrail.reports.report import Report
from skytrail.reports.schedule import Every, Span, due, span_named
from skytrail.reports.signing import NOTE
from storage.archive.store import ArchiveStore
from storage.ledger.signing import NoteSigner

RECEIPT = "delivered.json"
Make = Callable[[Span], Awaitable[Report]]
"""Makes the report of a period."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was delivered.

    Attributes:
        folder: Key below which the files lie.
        verdict: Of the report.
        sha256: Hex, of every file by its name, the note among them.
    """

    v: int
    delivery: str
    period: str
    kind: str
    made_at: dt.datetime
    folder: str
    verdict: str
    sha256: dict[str, str]

    @property
    def told(self) -> str:
        """In one line, for the record of the action: with the hash of the report and that of its signature."""
        report, note = self.sha256[DOCUMENT], self.sha256[NOTE]
        return f"{self.delivery} {self.period} {self.verdict}: {DOCUMENT} {report}, {NOTE} {note}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A report that is wanted for every period.

    Attributes:
        name: Its folder.
        every: Length of a period.
        store: Where it goes.
    """

    name: str
    every: Every
    store: ArchiveStore

    def newest(self, now: dt.datetime) -> Span | None:
        """The last period that is over and has its report; a clock that was ahead may have left later ones.

        Args:
            now: The present.

        Raises:
            StoreUnavailable: Call it again.
        """
        found = []
        for name in self.store.folders(f"{self.name}/"):
            try:
                span = span_named(self.every, name)
            except ValueError:
                continue  # of another length: `every` was changed
            if span.end <= now and self.receipt(span) is not None:
                found.append(span)
        return max(found, key=lambda span: span.start, default=None)

    def receipt(self, span: Span) -> Receipt | None:
        """The receipt of a period; None while there is none.

        Raises:
            IntegrityError: What lies there is no receipt.
        """
        key = f"{self.name}/{span.name}/{RECEIPT}"
        body = self.store.get(key)
        try:
            return None if body is None else msgspec.json.decode(body, type=Receipt)
        except msgspec.MsgspecError as exc:
            raise IntegrityError(
                f"reading a receipt of a delivery: {exc}", where=key, mend="look who wrote there: nobody else may"
            ) from exc

    async def deliver(
        self, make: Make, signers: Sequence[NoteSigner], now: dt.datetime, tell: Callable[[str], None]
    ) -> list[Receipt]:
        """Make and put the reports that are due; gives the receipts of those that this call delivered.

        Args:
            make: See `Make`.
            signers: Keys of the ledger under the name for reports.
            now: The present.
            tell: Takes a line with the hashes of a report before its receipt is put: whatever happens then, they are
                known.

        Raises:
            SkytrailError: Of the evidence, or of the store: what was delivered before stays, the rest is due again.
        """
        found = []
        for span in due(self.every, self.newest(now), now):
            report = await make(span)
            receipt = self._put(report, span, files_of(report, signers), tell)
            found += [receipt] if receipt is not None else []
        return found

    def _put(
        self, report: Report, span: Span, files: Mapping[str, bytes], tell: Callable[[str], None]
    ) -> Receipt | None:
        folder = f"{self.name}/{span.name}/{report.made_at.astimezone(dt.UTC):%Y%m%dT%H%M%S%fZ}"
        for name, body in files.items():
            self.store.put(f"{folder}/{name}", body)
        receipt = Receipt(
            v=1,
            delivery=self.name,
            period=span.name,
            kind=report.kind,
            made_at=report.made_at,
            folder=folder,
            verdict=report.verdict.value,
            sha256={name: hashlib.sha256(body).hexdigest() for name, body in files.items()},
        )
        tell(receipt.told)
        try:
            self.store.put(f"{self.name}/{span.name}/{RECEIPT}", msgspec.json.encode(receipt, order="deterministic"))
        except AlreadyExists:
            return None  # another machine delivered this period meanwhile
        return receipt
