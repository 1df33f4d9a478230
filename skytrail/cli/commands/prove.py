"""`skytrail prove`: writes the proof that one event was sealed, for somebody who has only keys."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.schema.errors import ConfigError, IntegrityError
from skytrail.cli.commands.search import reading
from skytrail.cli.context import context_of
from skytrail.cli.data_key_option import DataKeysOption, chosen_keys
from skytrail.cli.output import say
from skytrail.cli.places import opened
from skytrail.recording import recorded
from storage.index.search import Hit, Query
from storage.index.search import search as search_events
from storage.settings import ElasticsearchSettings
from storage.verify.encryption import KeySource
from storage.verify.ledger.tree import leaf_hash
from storage.verify.places import Place
from storage.verify.proof.document import Proof
from storage.verify.proof.making import Asked, Unprovable, make_proof

_POSITION = re.compile(r"(?P<topic>[^/]+)/(?P<partition>\d+)/(?P<offset>\d+)(?:/(?P<index>\d+))?")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(prove)


@recorded("prove", target="event")
def prove(
    context: typer.Context,
    event: Annotated[
        str, typer.Argument(metavar="ID", help="Document id, or topic/partition/offset/index of the record.")
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="File to write; - for stdout.")],
    archive: Annotated[
        str | None,
        typer.Option(
            help="Directory, file://, s3://, azure:// or gs:// address. Default: the archive of the settings."
        ),
    ] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only this one; default: where it is.")] = "",
    record: Annotated[bool, typer.Option(help="Put the bytes of the record into the proof.")] = True,
    with_data_keys: DataKeysOption = None,
) -> None:
    """Write the proof that one event was sealed: a few KB that anybody checks offline with a pinned key.

    It holds the path from the record to its segment and on to a signed checkpoint of the ledger, with cosignatures
    and a time stamp. Only looking up a document id needs Elasticsearch.

    Examples:  skytrail prove 0IxhQvKZb6Zk1Zd0J3m4aA -o event.proof
               skytrail prove skytrail.raw.aws.cloudtrail.v1/0/1234/7 -o event.proof --archive /mnt/copy
    """
    place = opened(archive or context_of(context).settings.archive_place)
    keys = chosen_keys(context, archive, wanted=with_data_keys)
    leaf = ""
    if match := _POSITION.fullmatch(event):
        asked = _asked(match.groupdict(), namespace)
    else:
        settings = context_of(context).connected(kafka=False).elasticsearch
        asked, leaf = _of_document(asyncio.run(_hits(settings, event)), event)
    made = _made(place, asked, keys, with_record=record or bool(leaf))
    if leaf and leaf_hash(made.record or b"").hex() != leaf:
        raise IntegrityError(
            f"proving {event}: the document names another leaf than was sealed at its place",
            where=str(asked),
            mend="`skytrail verify --index` shows what is altered; do not repair anything",
        )
    body = (made if record else dataclasses.replace(made, record=None)).encode()
    if out == "-":
        sys.stdout.buffer.write(body)
    else:
        Path(out).write_bytes(body)
    checkpoint = made.ledger.checkpoint
    say(
        f"{len(body):,} bytes: record {asked} is in entry {made.ledger.index:,} of {checkpoint.origin} with "
        f"{checkpoint.size:,} entries, {len(checkpoint.signatures)} signatures, {len(made.stamps)} time stamps"
    )
    say("next: skytrail check-proof FILE --key VKEY, or python3 docs/check_proof.py FILE VKEY")


def _asked(parts: dict[str, Any], namespace: str) -> Asked:
    return Asked(parts["topic"], int(parts["partition"]), int(parts["offset"]), int(parts["index"] or 0), namespace)


def _of_document(hits: list[Hit], event: str) -> tuple[Asked, str]:
    """The place of a document, and the leaf that it names."""
    places = [hit.source.get("skytrail", {}).get("kafka") for hit in hits]
    if len(hits) != 1 or not places[0]:
        found = "none" if not hits else "one without a place in Kafka" if len(hits) == 1 else f"{len(hits)} of them"
        raise ConfigError(
            f"looking for document {event}: there is {found}",
            mend="`skytrail search QUERY -o json` shows ids (_id) and places (skytrail.kafka)",
        )
    (source,) = [hit.source for hit in hits]
    return _asked(places[0], source["data_stream"]["namespace"]), source.get("event", {}).get("hash", "")


def _made(place: Place, asked: Asked, keys: KeySource | None, *, with_record: bool) -> Proof:
    try:
        return make_proof(place, asked, with_record=with_record, keys=keys)
    except Unprovable as exc:
        raise ConfigError(f"proving {asked}: {exc}", where=str(place)) from exc
    except (OSError, ValueError) as exc:
        raise IntegrityError(f"proving {asked}: {exc}", where=str(place), mend="run `skytrail verify`") from exc


async def _hits(settings: ElasticsearchSettings, event: str) -> list[Hit]:
    async with reading(settings) as client, aclosing(search_events(client, Query(f'_id:"{event}"'), limit=2)) as hits:
        return [hit async for hit in hits]
