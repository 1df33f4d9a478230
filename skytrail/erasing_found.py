"""Finds under which keys somebody acted, and what was sealed of them after they had been erased."""

from __future__ import annotations

import msgspec

from ingest.pseudonyms.key_file import open_where_possible
from ingest.schema.errors import ConfigError
from skytrail.data_keys import data_keys
from skytrail.erasing import as_recorded
from skytrail.settings import Settings
from storage.archive.opening import open_archive
from storage.index.client import connect
from storage.index.erasing import known_as
from storage.ledger.key_history import shredded_anywhere
from storage.retention.late import made_after


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Who acted.

    Attributes:
        documents: In Elasticsearch.
        keys: Data keys of theirs that are there; None: nothing here can tell.
        after_erasure: How many of these were made after an erasure of the same month: records that came in late.
    """

    subject: str
    display: str
    documents: int
    first: str
    last: str
    keys: int | None
    after_erasure: int | None


async def find(settings: Settings, namespace: str, name: str) -> list[Found]:
    """Those who acted under a name, an e-mail address or an id; somebody with data keys and no document as well.

    Raises:
        IndexUnavailable: Elasticsearch does not answer.
        ConfigError: A data key can't be opened.
    """
    pseudonyms = open_where_possible(settings.pseudonyms, settings.state_dir, settings.archive_dir)
    client = connect(settings.elasticsearch, "reader")
    try:
        known = await known_as(client, namespace, pseudonyms.asked(namespace, name))
    finally:
        await client.close()
    keys = data_keys(settings)
    destroyed = shredded_anywhere(open_archive(settings.archive, settings.archive_dir), namespace) if keys else set()

    def counted(subject: str) -> tuple[int | None, int | None]:
        try:
            recorded = as_recorded(pseudonyms, namespace, subject)
        except ConfigError:
            return None, None  # a token whose key is not here
        present = keys.of_subject(namespace, recorded) if keys else []
        return len(present), len(made_after(present, destroyed))

    rows = []
    for each in known:
        there, again = counted(each.subject)
        rows.append(Found(**msgspec.structs.asdict(each), keys=there, after_erasure=again))
    there, again = counted(name)
    if there and all(each.subject not in pseudonyms.asked(namespace, name) for each in known):
        rows.append(Found(subject=name, display="", documents=0, first="", last="", keys=there, after_erasure=again))
    return rows
