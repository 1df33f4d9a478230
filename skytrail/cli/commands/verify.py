"""`skytrail verify`: checks what is stored, from its bytes, with code that shares nothing with what wrote it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.context import context_of
from skytrail.cli.data_key_option import DataKeysOption, chosen_keys
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, progress, say
from skytrail.cli.pins import AuthorityOption, KeyOption, WitnessOption, read_pins
from skytrail.cli.places import opened
from skytrail.cli.times import stretch
from skytrail.own_keys import own_keys
from skytrail.recording import recorded
from storage.archive.opening import archive_at, open_archive
from storage.verify.archive import examine
from storage.verify.cloudtrail.keys import PinnedKeys, read_keys
from storage.verify.cloudtrail.trail import Trail
from storage.verify.findings import Finding, Progress, Summary
from storage.verify.ledger.namespace import lawful_of
from storage.verify.ledger.pins import NOTHING
from storage.verify.scope import Scope

SCHEMA_VERSION = 1
Part = Callable[[Progress], Iterator[Finding]]
"""One of the things to verify; it tells of its progress."""
_PLACE = ("namespace", "topic", "partition", "seq", "offset", "index", "entry", "document")
COLUMNS = ("kind", "grade", *_PLACE, "detail", "key")

ArchiveOption = Annotated[
    str | None,
    typer.Option(help="Directory, file://, s3://, azure:// or gs:// address. Default: the archive of the settings."),
]
SourceOption = Annotated[
    str | None,
    typer.Option(help="What CloudTrail delivered: a directory or s3://bucket/prefix. Alone: the archive is left out."),
]
SourceKeyOption = Annotated[
    list[Path] | None,
    typer.Option(help="Public keys of CloudTrail: answer of list-public-keys, PEM or DER. Repeatable."),
]
IndexOption = Annotated[
    bool, typer.Option("--index", help="Compare Elasticsearch with the archive too, document by document.")
]

CheckpointOption = Annotated[
    list[Path] | None, typer.Option(help="A checkpoint that you kept: the log must continue it. Repeatable.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


@recorded("verify", target="archive", details=("start", "end", "index", "source"))
def verify(
    context: typer.Context,
    archive: ArchiveOption = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Read segments received at or after this: ISO 8601 or an age.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Read segments received before this.")] = None,
    key: KeyOption = None,
    witness: WitnessOption = None,
    authority: AuthorityOption = None,
    checkpoint: CheckpointOption = None,
    source: SourceOption = None,
    source_key: SourceKeyOption = None,
    index: IndexOption = False,
    with_data_keys: DataKeysOption = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes. Default: one per core.")] = None,
    limit: Annotated[int, typer.Option(help="Most findings shown; 0 for all. All are counted.")] = 1000,
    output: OutputOption = None,
) -> None:
    """Check that the archive, or what CloudTrail delivered, is complete and unaltered; names what is not.

    Needs no service and no network for an archive in a directory. Exits 0 only if everything is there and as it was
    sealed, 1 if something was tampered with, 5 if nothing wrong was found but not all could be checked.

    An archive whose ledger is not signed by a key that you pin proves nothing against whoever can write to it: 5. For
    the archive of the settings the keys of ledger.keys_file are believed, unless --key pins others.

    Examples:  skytrail verify   |   skytrail verify --key logs.example.org/acme/1+5ad0f3b1+AZ1f...
               skytrail verify --archive /mnt/copy --key auditor.keys --to 2026-11-20T13:00:00Z -o json
               skytrail verify --archive s3://bucket/prefix --from 24h   |   skytrail verify --index --from 24h
               skytrail verify --source s3://trail-bucket --source-key keys.json --from 7d
    """
    now, summary = dt.datetime.now(dt.UTC), Summary()
    pins = read_pins(key or [], witness or [], authority or [], checkpoint or [])
    since, until = stretch(start, end, now)
    scope = Scope(since=since, until=until, jobs=jobs or os.cpu_count() or 1, pins=pins, now=now)
    parts: list[Part] = []
    if archive or index or not source:
        opener = chosen_keys(context, archive, wanted=with_data_keys)
        parts.append(_archive_part(context, archive, dataclasses.replace(scope, keys=opener), summary))
    if index:
        parts.append(_index_part(context, archive, scope, now, summary))
    if source:
        trail, keys = opened(source), source_keys(source_key or [])
        parts.append(lambda tell: Trail(trail, keys, scope, now, summary, tell).check())
    _emit(_shown(_followed(parts), limit), summary, output)
    _tell(summary)
    if not summary.ok:
        raise typer.Exit(Exit.FINDINGS if summary.tampered else Exit.INCOMPLETE)


def _emit(shown: Iterator[Finding], summary: Summary, output: Output | None) -> None:
    """The findings as they come, or one document when all are known."""
    if chosen(output) is not Output.JSON:
        emit_rows(map(as_dict, shown), output, columns=COLUMNS)
        return
    findings = [as_dict(finding) for finding in shown]
    checked = dataclasses.asdict(summary)
    emit_object(
        {"schema_version": SCHEMA_VERSION, "verdict": verdict(summary), "checked": checked, "findings": findings},
        output,
    )


def verdict(summary: Summary) -> str:
    """In one word."""
    return "clean" if summary.ok else "tampered" if summary.tampered else "incomplete"


def as_dict(finding: Finding) -> dict[str, Any]:
    """A finding as a row; the same fields in every format."""
    return {**dataclasses.asdict(finding), "grade": str(finding.grade), "kind": str(finding.kind)}


def _index_part(context: typer.Context, archive: str | None, scope: Scope, now: dt.datetime, summary: Summary) -> Part:
    settings = context_of(context).connected(kafka=False)
    store = archive_at(archive) if archive else open_archive(settings.archive, settings.archive_dir)
    # Who verifies without Elasticsearch does not wait for all that is needed to make documents.
    from skytrail.reconciliation import IndexCheck  # noqa: PLC0415

    place = opened(archive or settings.archive_place)
    return lambda tell: IndexCheck(
        settings, store, scope, now, summary, tell, lawful=functools.partial(lawful_of, place)
    ).check()


def _archive_part(context: typer.Context, archive: str | None, scope: Scope, summary: Summary) -> Part:
    """Who checks the own archive and pins no key believes the own keys file."""
    place = opened(archive or context_of(context).settings.archive_place)
    pins = scope.pins or NOTHING
    if not archive and not pins.keys:
        settings = context_of(context).settings
        try:
            pins = dataclasses.replace(pins, keys=own_keys(settings, place))
        except OSError as exc:
            say(f"note: the own keys were not looked for: {exc}")  # and that will be a finding
        if pins.keys:
            say(f"note: the keys of {settings.keys_file} are believed; --key pins others")
    whole = dataclasses.replace(scope, pins=pins)
    return lambda tell: examine(place, whole, summary, tell)


def source_keys(paths: list[Path]) -> PinnedKeys:
    """The public keys of CloudTrail that were named.

    Raises:
        ConfigError: None was, or one can't be read.
    """
    mend = "aws cloudtrail list-public-keys --start-time TIME --region REGION > keys.json, then --source-key keys.json"
    if not paths:
        raise ConfigError("verifying what CloudTrail delivered: no key is pinned", mend=mend)
    try:
        return read_keys(paths)
    except ValueError as exc:
        raise ConfigError(f"reading public keys: {exc}", mend=mend) from exc


def _followed(parts: list[Part]) -> Iterator[Finding]:
    """The findings, with a progress display on stderr."""
    with progress() as display:
        task = display.add_task("verifying", total=None, note="")

        def tell(counts: Summary) -> None:
            display.update(task, note=f"{counts.segments:,} segments, {counts.records:,} records")

        for part in parts:
            yield from part(tell)


def _shown(findings: Iterator[Finding], limit: int) -> Iterator[Finding]:
    """The first findings; the rest is counted and told of by kind."""
    yield from itertools.islice(findings, limit) if limit else findings
    rest = Counter(finding.kind for finding in findings)
    if rest:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(rest.items()))
        say(f"the first {limit:,} findings are shown; {kinds} more; use --limit 0 for all")


def _tell(summary: Summary) -> None:
    """The end, in words, and what to do next."""
    say(
        f"{verdict(summary)}: {summary.records:,} records of {summary.segments - summary.skipped:,} segments in "
        f"{summary.streams:,} chains, {summary.objects:,} objects; {summary.findings:,} findings"
    )
    if summary.entries:
        say(
            f"ledger: {summary.entries:,} entries, {summary.checkpoints:,} checkpoints; {summary.unledgered:,} new "
            "segments are not in it yet"
        )
    if summary.destroyed:
        say(f"retention: {summary.destroyed:,} records are gone as the ledger announced; their leaves are as sealed")
    if summary.erased:
        say(f"erasure: {summary.erased:,} records of people can't be read any more, as the ledger announced")
    if summary.documents or summary.unindexed:
        say(
            f"Elasticsearch: {summary.documents:,} documents are as the archive makes them; {summary.unindexed:,} "
            "records need none of their own: duplicates, refused, filtered or minutes old"
        )
    if summary.digests:
        say(
            f"CloudTrail: {summary.digests:,} digests, {summary.log_files:,} log files; "
            f"{summary.pending:,} are too young for a digest"
        )
    if summary.closed:
        say(f"{summary.closed:,} segments are encrypted and were not opened: bytes, leaves and tree were checked")
    if summary.skipped:
        say(f"{summary.skipped:,} segments lie outside of the time range: their place was checked, their bytes not")
    if not summary.ok:
        say("next: docs/integrity.md explains each kind of finding; do not delete or repair anything")
