"""`skytrail report deliver`: reports that are due go where nobody changes them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.schema.errors import ConfigError, SkytrailError
from skytrail.cli.commands.report import group, made_report
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.recording import recorded
from skytrail.reports.delivering import Delivery, Receipt
from skytrail.reports.files import DOCUMENT
from skytrail.reports.gathering import kind_named
from skytrail.reports.report import Report
from skytrail.reports.schedule import Span
from skytrail.reports.settings import DeliverySettings
from skytrail.reports.signing import origin_of
from skytrail.settings import Settings
from storage.archive.opening import open_archive
from storage.ledger.keyring import KeyRing
from storage.settings import ArchiveSettings

COLUMNS = ("delivery", "period", "verdict", "sha256", "place")
_MEND = "docs/reports.md#delivery shows a table [reports.deliveries.NAME]"


def register(_: typer.Typer) -> None:
    """Add the command to the group `report`."""
    group.command("deliver")(report_deliver)


@recorded("report.deliver", "change", target="name")
def report_deliver(
    context: typer.Context,
    name: Annotated[list[str] | None, typer.Argument(help="Deliveries of the settings. Default: all.")] = None,
    output: OutputOption = None,
) -> None:
    """Make, sign and put every report of reports.deliveries that is due. Let a timer run it: again and again is fine.

    A report is due for each day, week or month that is over since the last one that was delivered. Exits 0 when all are
    there, whatever they say; of several deliveries one that fails does not stop the others.

    Examples:  skytrail report deliver   |   skytrail report deliver integrity-daily -o json
    """
    found = context_of(context)
    settings = found.connected()
    told = found.told.setdefault("reports", [])
    rows: list[dict[str, Any]] = []
    failed: list[SkytrailError] = []
    for delivery, wanted in chosen(settings, name or []).items():
        try:
            receipts = asyncio.run(delivered(settings, delivery, wanted, told.append))
        except SkytrailError as exc:
            failed.append(exc)
            say(f"{delivery}: {exc}")
            continue
        rows += [_row(receipt, wanted) for receipt in receipts]
    emit_rows(rows, output, columns=COLUMNS)
    if not rows and not failed:
        say("nothing is due")
    if failed:
        raise failed[0]


def chosen(settings: Settings, names: Sequence[str]) -> Mapping[str, DeliverySettings]:
    """The deliveries of these names; all where there are none.

    Raises:
        ConfigError: There is none of a name, none at all, one of no kind, or one into the archive.
    """
    known = settings.reports.deliveries
    if not known:
        raise ConfigError("delivering reports: the settings have no delivery", where="[reports]", mend=_MEND)
    if unknown := [name for name in names if name not in known]:
        told = f"delivering reports: there is no delivery {unknown[0]!r}"
        raise ConfigError(told, where="[reports.deliveries]", mend=f"name one of {', '.join(known)}")
    wanted = {name: known[name] for name in names or known}
    for name, each in wanted.items():
        kind_named(each.kind)
        if _is_within_archive(settings, each):
            told = "delivering reports: what is not sealed must not lie in the archive"
            raise ConfigError(told, where=f"reports.deliveries.{name}", mend="name another directory or prefix")
    return wanted


async def delivered(
    settings: Settings, name: str, wanted: DeliverySettings, tell: Callable[[str], None]
) -> list[Receipt]:
    """Deliver what is due of one delivery.

    Args:
        settings: Connected.
        name: Of the delivery.
        wanted: What and where.
        tell: Takes a line with the hashes of each report before its receipt is put.

    Raises:
        SkytrailError: Of the evidence, the keys or the store.
    """
    now = dt.datetime.now(dt.UTC)
    place = ArchiveSettings(s3=wanted.s3, azure=wanted.azure, gcs=wanted.gcs)
    store = open_archive(place, wanted.directory or Path())
    signers = KeyRing(settings.keys_file).newest(now).signers(origin_of(settings.ledger.organisation))

    async def make(span: Span) -> Report:
        start = None if wanted.whole else span.start
        return await made_report(settings, wanted.kind, wanted.namespace, start, span.end, dt.datetime.now(dt.UTC))

    return await Delivery(name, wanted.every, store).deliver(make, signers, now, tell)


def _is_within_archive(settings: Settings, wanted: DeliverySettings) -> bool:
    own = settings.archive.cloud
    if own is not None and wanted.cloud is not None:
        return _overlap(own.address, wanted.cloud.address)
    if own is not None or wanted.directory is None:
        return False
    here, there = wanted.directory.resolve(), settings.archive_dir.resolve()
    return here.is_relative_to(there) or there.is_relative_to(here)


def _overlap(one: str, other: str) -> bool:
    first, second = f"{one}/", f"{other}/"
    return first.startswith(second) or second.startswith(first)


def _row(receipt: Receipt, wanted: DeliverySettings) -> dict[str, Any]:
    return {
        "delivery": receipt.delivery,
        "period": receipt.period,
        "verdict": receipt.verdict,
        "sha256": receipt.sha256[DOCUMENT],
        "place": f"{wanted.place}/{receipt.folder}",
    }
