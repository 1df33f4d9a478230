"""Enters one entry in a log that others append to as well, and finds it again."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.schema.errors import IntegrityError
from storage.archive.store import ArchiveStore
from storage.ledger.checkpoint import parse_head
from storage.ledger.entries import Tips
from storage.ledger.log import Log
from storage.ledger.note import parse
from storage.ledger.tiles import WIDTH, read_bundle


def enter(store: ArchiveStore, log: Log, entry: bytes) -> int:
    """Enter an entry that says when it was made, so that there are no two of it; durable and published on return.

    Returns:
        Its index.

    Raises:
        StoreUnavailable: It may be entered or not.
        IntegrityError: The log contradicts itself.
        ConfigError: There is no valid key.
    """
    log.load()
    begin = log.size

    def lacking(_tips: Tips) -> list[bytes]:
        return [] if any(each == entry for _, each in _since(store, log, begin)) else [entry]

    log.append(lacking)
    return next(index for index, each in _since(store, log, begin) if each == entry)


def entry_at(store: ArchiveStore, prefix: str, index: int) -> bytes | None:
    """An entry of the log below a prefix; None where the log is shorter, or is not there.

    Raises:
        StoreUnavailable: Call it again.
        IntegrityError: The log is damaged.
    """
    raw = store.get(f"{prefix}checkpoint")
    if raw is None:
        return None
    try:
        size = parse_head(parse(raw).text).size
    except ValueError as exc:
        raise IntegrityError(f"reading the ledger: its checkpoint is {exc}", where=prefix) from exc
    if index >= size:
        return None
    number, place = divmod(index, WIDTH)
    width = min(WIDTH, size - number * WIDTH)
    return read_bundle(lambda path: store.get(prefix + path), number, width)[place]


def _since(store: ArchiveStore, log: Log, begin: int) -> Iterator[tuple[int, bytes]]:
    """The entries from an index on. The last, partial bundle is known: its file goes when somebody else appends."""
    edge = log.state().edge
    full = edge.size - len(edge.entries)
    for number in range(begin // WIDTH, full // WIDTH):
        entries = read_bundle(lambda path: store.get(log.identity.prefix + path), number, WIDTH)
        yield from enumerate(entries, number * WIDTH)
    yield from enumerate(edge.entries, full)
