"""Whether everything that was sealed is there and unaltered: the result of a whole verification, in a report."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections import Counter
from collections.abc import Sequence

import msgspec

from skytrail.cli.places import opened
from skytrail.data_keys import key_source
from skytrail.own_keys import own_authorities, own_keys
from skytrail.reports.gathering import Asked
from skytrail.reports.report import Section, Verdict
from storage.verify.archive import examine
from storage.verify.findings import Finding, Grade, Summary
from storage.verify.ledger.pins import Pins
from storage.verify.scope import Scope

TITLE = "Integrity of the sealed logs"
SHOWN_FINDINGS = 1000
_MEANING = {
    "segments": "segments whose place in their chain was checked",
    "records": "records whose bytes were compared with what was sealed",
    "erased": "records of people whose keys were destroyed, as the ledger says; their leaves are as sealed",
    "objects": "bodies kept whole",
    "entries": "entries of the ledger under a signed checkpoint",
    "checkpoints": "checkpoints that agree with the entries",
    "unledgered": "segments too new for the ledger",
    "skipped": "segments outside of the period, whose bytes were not read",
    "lawful": "findings that the ledger explains",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification, and the keys that were believed."""

    summary: Summary
    findings: Sequence[Finding]
    keys: Sequence[str]


async def gather(asked: Asked) -> Sequence[Section]:
    """Verify the archive of the settings.

    Raises:
        SkytrailError: It can't be opened.
    """
    found = await verified(asked)
    checked, listed = _checked(found.summary, found.findings), findings_section(found.findings, asked.namespace)
    if asked.namespace is not None:
        wider = "The whole archive was verified: counts and verdict are those of all namespaces."
        checked = msgspec.structs.replace(checked, text=f"{checked.text} {wider}")
    return [checked, listed, _keys(found.keys)]


async def verified(asked: Asked) -> Verified:
    """Verify the archive of the settings with the keys of this installation, its data keys among them.

    Raises:
        SkytrailError: It can't be opened.
    """
    return await asyncio.to_thread(_verify, asked)


def _verify(asked: Asked) -> Verified:
    place = opened(asked.settings.archive_place)
    keys = own_keys(asked.settings, place)
    jobs = os.cpu_count() or 1
    scope = Scope(
        since=asked.start,
        until=asked.end,
        jobs=jobs,
        pins=Pins(keys=keys, authorities=own_authorities(asked.settings)),
        keys=key_source(asked.settings),
        now=asked.now,
    )
    summary = Summary()
    findings = list(examine(place, scope, summary, lambda _: None))
    return Verified(summary, findings, [str(key) for key in keys])


def judged(summary: Summary, findings: Sequence[Finding]) -> Verdict:
    """PASS only for an archive that is complete and clean."""
    if any(finding.grade is Grade.TAMPERED for finding in findings):
        return Verdict.FAIL
    return Verdict.PASS if summary.ok and summary.records else Verdict.NOT_MEASURED


def _checked(summary: Summary, findings: Sequence[Finding]) -> Section:
    counts = dataclasses.asdict(summary)
    return Section(
        name="checked",
        title="What was checked",
        verdict=judged(summary, findings),
        text=(
            f"{_read(summary)} was read and compared, byte by byte, with its leaves, its manifest and the signed "
            "ledger, as `skytrail verify` does. Anybody can repeat it with the keys below."
        ),
        columns=("what", "count"),
        rows=tuple((meaning, counts[name]) for name, meaning in _MEANING.items()),
    )


def _read(summary: Summary) -> str:
    if not summary.skipped:
        return "Every segment of the archive"
    return f"Every segment that can hold something of the period, and none of {summary.skipped:,} others,"


def findings_section(found: Sequence[Finding], namespace: str | None) -> Section:
    """The findings; those of other namespaces than the one that is asked for are counted only."""
    findings = [each for each in found if namespace in (None, each.namespace)]
    kinds = Counter(str(finding.kind) for finding in findings)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
    more = f" The first {SHOWN_FINDINGS} are listed." if len(findings) > SHOWN_FINDINGS else ""
    if beside := len(found) - len(findings):
        more += f" {beside:,} others are about other namespaces, or about the archive."
    return Section(
        name="findings",
        title="Findings",
        text=f"Found: {told}.{more} docs/integrity.md explains each kind.",
        columns=("kind", "grade", "namespace", "topic", "partition", "offset", "detail"),
        rows=tuple(
            (
                str(each.kind),
                str(each.grade),
                each.namespace,
                each.topic,
                each.partition,
                each.offset,
                each.detail,
            )
            for each in findings[:SHOWN_FINDINGS]
        ),
    )


def _keys(keys: Sequence[str]) -> Section:
    return Section(
        name="keys",
        title="Keys that were believed",
        text="Verifier keys of the ledgers, from the keys file of this installation. Pin them elsewhere as well.",
        columns=("key",),
        rows=tuple((key,) for key in keys),
    )
