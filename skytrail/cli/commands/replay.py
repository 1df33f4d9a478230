"""`skytrail replay`: does again what roles did, with the same code, and compares with what is there."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import typer

from skytrail.cli.commands.verify import COLUMNS, as_dict
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, progress, say
from skytrail.cli.places import opened
from skytrail.cli.times import stretch
from skytrail.recording import recorded
from storage.archive.opening import archive_at, open_archive
from storage.verify.findings import Finding, Kind, Summary
from storage.verify.ledger.namespace import lawful_of
from storage.verify.scope import Scope

SCHEMA_VERSION = 1
group = typer.Typer(
    help="Do again from the archive what roles did, and compare with what is there.", no_args_is_help=True
)
"""The group `replay`; other files of this package add to it."""

FromOption = Annotated[
    str | None, typer.Option("--from", help="Records received at or after this: ISO 8601 or an age. Default: all.")
]
ToOption = Annotated[str | None, typer.Option("--to", help="Records received before this.")]
NamespaceOption = Annotated[list[str] | None, typer.Option(help="Only this namespace. Repeatable.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Write nothing; tell what would be written.")]
ArchiveOption = Annotated[
    str | None,
    typer.Option(help="Directory, file://, s3://, azure:// or gs:// address. Default: the archive of the settings."),
]


@dataclasses.dataclass(frozen=True, slots=True)
class Compared:
    """What a replay came to.

    Attributes:
        new: Documents that were not there and now are (of a dry run: would be).
        same: Documents that are as the archive makes them.
        unindexed: Records that need no document of their own: of equal records, refused, filtered.
        gone: Documents that the archive does not make: nothing of it gives them.
        altered: Documents that are not as the archive makes them. A replay never overwrites them.
        rewritten: Events of which there is another document under the same id, in another index.
        kept: Documents of which the record is erased.
        refused: Documents that Elasticsearch refuses.
        unchecked: Namespaces or documents that could not be compared.
    """

    new: int
    same: int
    unindexed: int
    gone: int
    altered: int
    rewritten: int
    kept: int
    refused: int
    unchecked: int


def register(app: typer.Typer) -> None:
    """Add the group."""
    group.command("index")(replay_index)
    app.add_typer(group, name="replay")


@recorded("replay.index", "change", target="archive", details=("start", "end", "namespace", "dry_run"))
def replay_index(
    context: typer.Context,
    archive: ArchiveOption = None,
    start: FromOption = None,
    end: ToOption = None,
    namespace: NamespaceOption = None,
    dry_run: DryRunOption = False,
    limit: Annotated[int, typer.Option(help="Most findings shown; 0 for all. All are counted.")] = 1000,
    output: OutputOption = None,
) -> None:
    """Write the documents that Elasticsearch lacks, made from the archive by the code of the role index: same ids.

    What is there is compared and never overwritten: documents that differ or that the archive does not make are
    findings. Drop an index, replay, and `skytrail verify --index` is clean. The role index may run meanwhile.

    Nothing of somebody erased comes back.

    Exits 0 when everything is there and as the archive makes it, 1 when a document differs, does not come from the
    archive, is of an erased record or of an event that came again rewritten (with --dry-run also when something would
    be written), 5 when something could not be compared or written.

    Examples:  skytrail replay index --dry-run   |   skytrail replay index --from 2026-11-20 --to 2026-11-21
               skytrail replay index --namespace acme --from 7d -o json
    """
    settings = context_of(context).connected(kafka=False)
    now, summary = dt.datetime.now(dt.UTC), Summary()
    since, until = stretch(start, end, now)
    scope = Scope(since=since, until=until)
    store = archive_at(archive) if archive else open_archive(settings.archive, settings.archive_dir)
    # Other commands do not wait for all that is needed to make documents.
    from skytrail.replaying import IndexReplay  # noqa: PLC0415

    kinds: Counter[Kind] = Counter()
    with progress() as display:
        task = display.add_task("replaying", total=None, note="")

        def tell(counts: Summary) -> None:
            display.update(task, note=f"{counts.documents:,} compared, {replay.restoring.counts.total():,} lacking")

        lawful = functools.partial(lawful_of, opened(archive or settings.archive_place))
        replay = IndexReplay(settings, store, scope, now, frozenset(namespace or ()), dry_run=dry_run, lawful=lawful)
        shown = list(_counted(replay.run(summary, tell), kinds, limit))
    compared = Compared(
        new=replay.restoring.counts["written"],
        same=summary.documents,
        unindexed=summary.unindexed + replay.restoring.counts["duplicate"],
        gone=kinds[Kind.INSERTED],
        altered=kinds[Kind.ALTERED],
        rewritten=kinds[Kind.REWRITTEN],
        kept=kinds[Kind.KEPT],
        refused=replay.restoring.counts["refused"],
        unchecked=kinds[Kind.UNCHECKED] - replay.restoring.counts["refused"],
    )
    _emit(compared, shown, output, dry_run=dry_run)
    if code := exit_of(compared, dry_run=dry_run):
        raise typer.Exit(code)


def exit_of(compared: Compared, *, dry_run: bool) -> Exit:
    """What a comparison ends with: 1 wherever `verify --index` does."""
    differs = compared.gone or compared.altered or compared.rewritten or compared.kept
    if differs or (dry_run and compared.new):
        return Exit.FINDINGS
    return Exit.INCOMPLETE if compared.refused or compared.unchecked else Exit.OK


def _counted(findings: Iterator[Finding], kinds: Counter[Kind], limit: int) -> Iterator[Finding]:
    """The first findings; all are counted."""

    def counted() -> Iterator[Finding]:
        for finding in findings:
            kinds[finding.kind] += 1
            yield finding

    every = counted()
    yield from itertools.islice(every, limit) if limit else every
    for _ in every:
        pass


def _emit(compared: Compared, shown: list[Finding], output: Output | None, *, dry_run: bool) -> None:
    counts = dataclasses.asdict(compared)
    if chosen(output) is Output.JSON:
        found = {"schema_version": SCHEMA_VERSION, "dry_run": dry_run, "compared": counts}
        emit_object({**found, "findings": [as_dict(each) for each in shown]}, output)
    else:
        emit_rows(map(as_dict, shown), output, columns=COLUMNS)
    words = "would be written" if dry_run else "written"
    say(
        f"{compared.new:,} {words}, {compared.same:,} the same, {compared.unindexed:,} need none of their own "
        f"(of equal records, refused, filtered); {compared.gone:,} not from the archive, {compared.altered:,} "
        f"altered, {compared.rewritten:,} rewritten with another time, {compared.kept:,} of erased records, "
        f"{compared.refused:,} refused by Elasticsearch, "
        f"{compared.unchecked:,} not compared"
    )
    if compared.gone or compared.altered:
        say("next: a replay overwrites nothing; keep the documents as evidence, or drop their index and replay")
    if compared.kept:
        say("next: delete the documents of erased records: docs/runbook.md#data-has-to-be-erased")
