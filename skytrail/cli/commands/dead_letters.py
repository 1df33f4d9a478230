"""`skytrail dead-letters`: list, show and redrive what was refused."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Annotated

import typer

from ingest.publisher import KafkaPublisher
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.envelope import Header, Position
from ingest.schema.errors import ConfigError, StoreUnavailable, UnsupportedEnvelope
from ingest.settings import CollectorSettings
from skytrail.cli.context import context_of
from skytrail.cli.dead_letter_rows import Tally, described, flat, readable, row
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say
from skytrail.data_keys import data_keys
from skytrail.recording import recorded
from skytrail.settings import Settings
from storage.archive.opening import open_archive
from streams.dead_letters import (
    Listing,
    Redrive,
    Wanted,
    body_of,
    encode_redrives,
    find,
    newest,
    read_letters,
    read_redrives,
)
from streams.produce import Producer
from streams.redriving import Road, redrive
from streams.topic_admin import ensure_topics
from streams.topics import DEAD_LETTERS, REDRIVES, Topic, raw_topic

COLUMNS = ("id", "refused_at", "stage", "reason", "namespace", "format", "size", "redriven_at", "message")
TALLY = ("outcome", "letters", "records", "namespace", "format", "stage", "reason", "why", "example")

StageOption = Annotated[str | None, typer.Option(help="Only of this stage: collect, index, alert.")]
ReasonOption = Annotated[str | None, typer.Option(help="Only for this reason, e.g. MalformedRecord.")]
NamespaceOption = Annotated[str | None, typer.Option("--namespace", "-n", help="Only of this namespace.")]
LetterArgument = Annotated[str, typer.Argument(metavar="ID", help="Id, as `dead-letters list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What was refused: look at it, send it on its way again.", no_args_is_help=True)
    group.command("list")(letters_list)
    group.command("show")(letters_show)
    group.command("redrive")(letters_redrive)
    app.add_typer(group, name="dead-letters")


@recorded("dead-letters.list", details=("stage", "reason", "namespace", "limit"))
def letters_list(
    context: typer.Context,
    stage: StageOption = None,
    reason: ReasonOption = None,
    namespace: NamespaceOption = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")] = 50,
    output: OutputOption = None,
) -> None:
    """List dead letters, newest first, and when they were redriven.

    Examples:  skytrail dead-letters list   |   skytrail dead-letters list --reason MalformedRecord -n acme   |
    skytrail dead-letters list -o json --limit 0
    """
    settings = context_of(context).connected(elasticsearch=False)
    listing, redrives = asyncio.run(_list(settings, Wanted(stage, reason, namespace), limit or None))
    emit_rows((row(filed, redrives) for filed in listing.letters), output, columns=COLUMNS)
    if len(listing.letters) < listing.total:
        say(f"{len(listing.letters):,} of {listing.total:,} shown; use --limit 0 for all")
    if listing.letters:
        say("Next: skytrail dead-letters show ID, then skytrail dead-letters redrive ID")


@recorded("dead-letters.show", target="letter_id", details=("raw",))
def letters_show(
    context: typer.Context,
    letter_id: LetterArgument,
    raw: Annotated[bool, typer.Option("--raw", help="Write the exact original bytes to stdout, nothing else.")] = False,
    output: OutputOption = None,
) -> None:
    """Show one dead letter: why, from where, and its original bytes (as text, or base64 when they are no UTF-8).

    Examples:  skytrail dead-letters show 3f1c…   |   skytrail dead-letters show 3f1c… --raw > body.json.gz
    """
    settings = context_of(context).connected(elasticsearch=False)
    letter, redrives = asyncio.run(_one(settings, letter_id))
    store, keys = open_archive(settings.archive, settings.archive_dir), data_keys(settings)
    if raw:
        sys.stdout.buffer.write(body_of(letter, store, keys))
        sys.stdout.buffer.flush()
        return
    shown_letter = described(letter, redrives)
    try:
        shown_letter |= readable(body_of(letter, store, keys))
    except StoreUnavailable as exc:
        shown_letter |= {"encoding": None, "body": None}
        say(f"warning: {exc}")
    if chosen(output) in (Output.JSON, Output.JSONL):
        emit_object(shown_letter, output)
    else:
        emit_rows(({"what": k, "value": v} for k, v in flat(shown_letter)), output, columns=("what", "value"))


@recorded(
    "dead-letters.redrive",
    "change",
    target="ids",
    details=("everything", "stage", "reason", "namespace", "again", "yes"),
)
def letters_redrive(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID…]", help="Letters, by id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every letter that the filters leave.")] = False,
    stage: StageOption = None,
    reason: ReasonOption = None,
    namespace: NamespaceOption = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that were redriven before.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --all: do it, instead of saying what would be done.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Publish dead letters again, after their cause was mended; exit 5 when some stay dead.

    --all is a dry run unless --yes is given. Records keep their origin, time of receipt and id. They count as received
    once more: `skytrail status` shows them twice, once dead-lettered and once by what becomes of them now. A body is
    split again; records of it that were delivered before count as duplicates. What is refused again is a new letter.

    Examples:  skytrail dead-letters redrive 3f1c…   |   skytrail dead-letters redrive --all -n acme   |
    skytrail dead-letters redrive --all --stage collect --yes
    """
    if bool(ids) == everything:
        raise ConfigError(
            "redriving dead letters: name letters, or give --all", mend="see `skytrail dead-letters list`"
        )
    if ids and any((stage, reason, namespace)):
        raise ConfigError(
            "redriving dead letters: --stage, --reason and --namespace choose among --all", mend="leave them out"
        )
    settings = context_of(context).connected(elasticsearch=False)
    dry_run = everything and not yes
    tally = asyncio.run(_redrive(settings, ids or [], Wanted(stage, reason, namespace), again=again, dry_run=dry_run))
    emit_rows(tally.rows.values(), output, columns=TALLY)
    say(tally.summary(dry_run=dry_run))
    if tally.dead:
        raise typer.Exit(Exit.INCOMPLETE)


async def _list(settings: Settings, wanted: Wanted, limit: int | None) -> tuple[Listing, Mapping[str, Redrive]]:
    async with aclosing(read_letters(settings.kafka, _unreadable)) as letters:
        listing = await newest(letters, wanted, limit)
    return listing, await read_redrives(settings.kafka)


async def _one(settings: Settings, letter_id: str) -> tuple[DeadLetter, Mapping[str, Redrive]]:
    return (await _found(settings, [letter_id]))[0], await read_redrives(settings.kafka)


async def _found(settings: Settings, ids: Sequence[str]) -> list[DeadLetter]:
    async with aclosing(read_letters(settings.kafka, _unreadable)) as letters:
        found = await find(letters, ids)
    if missing := [each for each in ids if each not in found]:
        raise ConfigError(
            f"looking for dead letters: there is none with the id {', '.join(missing)}",
            where=DEAD_LETTERS,
            mend="`skytrail dead-letters list --limit 0` shows the ids",
        )
    return list(found.values())


async def _redrive(settings: Settings, ids: Sequence[str], wanted: Wanted, *, again: bool, dry_run: bool) -> Tally:
    tally = Tally()
    await ensure_topics(settings.kafka, [Topic(REDRIVES, compacted=True, retention_ms=-1)], apply=not dry_run)
    done = await read_redrives(settings.kafka)
    async with AsyncExitStack() as stack:
        publisher = KafkaPublisher(settings.kafka, raw_topic=raw_topic, dead_letter_topic=DEAD_LETTERS)
        stack.push_async_callback(publisher.close)
        producer = Producer(settings.kafka, on_wait=say)
        stack.push_async_callback(producer.close)

        async def note(redrives: Sequence[Redrive]) -> None:
            await producer.send(REDRIVES, encode_redrives(redrives))

        road = Road(
            publisher,
            open_archive(settings.archive, settings.archive_dir),
            note,
            lambda header: _inflated_limit(settings, header),
            lambda: dt.datetime.now(dt.UTC),
            dry_run=dry_run,
            keys=data_keys(settings),
        )
        letters = _given(await _found(settings, ids)) if ids else _all(settings, wanted)
        async with aclosing(letters), aclosing(redrive(letters, road, done=done, again=again)) as results:
            async for result in results:
                tally.add(result)
    return tally


async def _given(letters: Sequence[DeadLetter]) -> AsyncGenerator[DeadLetter, None]:
    for letter in letters:
        yield letter


async def _all(settings: Settings, wanted: Wanted) -> AsyncGenerator[DeadLetter, None]:
    async with aclosing(read_letters(settings.kafka, _unreadable)) as letters:
        async for letter in letters:
            if wanted(letter):
                yield letter


def _inflated_limit(settings: Settings, header: Header) -> int:
    """The limit of the collector as it is now: it may be what was mended."""
    collector = settings.collectors.get(header.collector.partition("/")[0])
    default: int = CollectorSettings.model_fields["max_inflated_bytes"].default
    return collector.max_inflated_bytes if collector else default


def _unreadable(place: Position, error: UnsupportedEnvelope) -> None:
    say(f"warning: {place}: {error.what}")
