"""The means by which a plan is carried out: the archive that may delete, Elasticsearch as `retention`, two clocks."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from elasticsearch import AsyncElasticsearch

from ingest.schema.errors import ConfigError
from skytrail.retaining import Retaining
from storage.archive.chain import Chain
from storage.archive.manifest import digest, instant, manifest_key, stream_prefix
from storage.archive.store import ArchiveStore
from storage.index.client import connect
from storage.index.inspection import clock_of
from storage.index.visibility import make_visible
from storage.ledger.cosigning import witness_key
from storage.ledger.note import parse
from storage.retention import inventory
from storage.retention.applying import Means
from storage.retention.plan import IndexFacts
from storage.retention.record import State
from storage.settings import ElasticsearchSettings, LedgerSettings
from storage.verify.findings import Site
from storage.verify.reading import MANIFEST_SHAPE, document
from storage.verify.segment import Segment
from streams.naming import dataset_of

MAX_AHEAD = dt.timedelta(days=1)
"""How far this clock may be ahead of the newest entry of a ledger: a seal worker tells of itself each minute."""
SETTLED = dt.timedelta(days=3)
"""For how long ledgers must have gone on after a leap: so long somebody has to see that a clock is wrong."""
MAX_APART = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ElasticIndices:
    """The `Indices` of a cluster, from outside of its event loop.

    Args:
        runner: Runs what is asked.
        reader: Looks.
        dropper: Of the retention identity.
    """

    runner: asyncio.Runner
    reader: AsyncElasticsearch
    dropper: AsyncElasticsearch

    def facts(self, name: str, state: State) -> IndexFacts | None:
        """See `Indices.facts`."""
        return self.runner.run(self._facts(name, state))

    def drop(self, name: str, uuid: str) -> None:
        """See `Indices.drop`."""
        self.runner.run(inventory.drop(self.dropper, name, uuid))

    async def _facts(self, name: str, state: State) -> IndexFacts | None:
        await make_visible(self.reader)
        found = await inventory.indices(self.reader, state.open_holds(), name)
        return next((facts for facts in found if facts.name == name), None)


@contextmanager
def elastic_indices(settings: ElasticsearchSettings) -> Iterator[ElasticIndices]:
    """Elasticsearch with the identities that look and drop, for a thread without a loop."""
    with asyncio.Runner() as runner:
        reader = connect(settings, "reader")
        dropper = connect(settings, "retention")
        try:
            yield ElasticIndices(runner, reader, dropper)
        finally:
            runner.run(reader.close())
            runner.run(dropper.close())


def means(retaining: Retaining, indices: ElasticIndices, ledger: LedgerSettings, now: dt.datetime) -> Means:
    """Everything that carrying out a plan needs.

    Args:
        retaining: Opened with the right to delete.
        indices: Elasticsearch.
        ledger: Whose witnesses must have seen a tombstone.
        now: The present, from `trusted`.
    """
    store = retaining.store
    return Means(
        store=store,
        indices=indices,
        dataset_of=dataset_of,
        unsound=lambda namespace, topic, partition, seq: unsound(store, namespace, topic, partition, seq),
        spanned=lambda namespace, topic, partition, offsets: spanned(store, namespace, topic, partition, offsets),
        witnessed=lambda namespace, size: witnessed(store, ledger, namespace, size),
        clock=lambda: now,
    )


async def trusted(
    retaining: Retaining, reader: AsyncElasticsearch, now: dt.datetime, ahead: dt.timedelta = MAX_AHEAD
) -> dt.datetime:
    """The present, if others agree: nothing is destroyed on the word of one clock.

    Raises:
        ConfigError: This clock is ahead of the ledgers or apart from Elasticsearch.
        IndexUnavailable: Elasticsearch does not answer.
    """
    states = [retaining.record(name).now() for name in retaining.namespaces()]
    told = [state.newest for state in states if state.newest is not None]
    # An entry from the future was made by a clock that was wrong: it vouches for nothing.
    newest = max((each for each in told if each <= now + ahead), default=min(told, default=now))
    mend = "correct the clock of this machine; if it is right, start a seal worker: it tells the ledger of the time"
    if now - newest > ahead:
        raise ConfigError(
            f"asking for the time: this clock says {instant(now)}, the newest entry of any ledger {instant(newest)}",
            where="the clock of this machine",
            mend=mend,
        )
    _refuse_leap(states, now)
    other = await clock_of(reader)
    if abs(now - other) > MAX_APART:
        raise ConfigError(
            f"asking for the time: this clock says {instant(now)}, that of Elasticsearch {instant(other)}",
            where="the clock of this machine",
            mend="correct the one that is wrong",
        )
    return min(now, other)


def _refuse_leap(states: Sequence[State], now: dt.datetime) -> None:
    """Refuse to go by a clock that the ledgers know for too short a time: seal workers may have leapt with it.

    A ledger that was silent for a while is harmless where another one went on.
    """
    for state in states:
        before, after = state.leap or (now, now)
        if not before < after <= now + MAX_AHEAD or now - after >= SETTLED:
            continue  # one that leapt back makes nothing older, and one in the future was corrected since
        if any(_went_on(other, before, after) for other in states):
            continue
        raise ConfigError(
            f"asking for the time: the ledger of {state.namespace} goes from {instant(before)} to {instant(after)}: "
            "nothing was sealed meanwhile, or a clock leapt",
            where="the clock of the seal worker's machine",
            mend=f"if its clock is wrong, correct it; if it is right, wait: from {instant(after + SETTLED)} on it is "
            "believed, as long as a seal worker runs",
        )


def _went_on(state: State, start: dt.datetime, end: dt.datetime) -> bool:
    """Whether a ledger has entries all the time of a leap of another one."""
    if state.oldest is None or state.newest is None or state.oldest > start or state.newest < end:
        return False
    return state.leap is None or max(state.leap) <= start


def unsound(store: ArchiveStore, namespace: str, topic: str, partition: int, seq: int) -> str:
    """What is wrong with a segment, by the verifier's own reading of its bytes; empty when nothing is."""
    prefix = stream_prefix(namespace, topic, partition)
    body = store.get(manifest_key(prefix, seq))
    manifest, wrong = document(body or b"", MANIFEST_SHAPE)
    if body is None or manifest is None:
        return wrong or "its manifest is missing"
    later, _ = document(store.get(manifest_key(prefix, seq + 1)) or b"", MANIFEST_SHAPE)
    if later is not None and later["previous"] != digest(body):
        return "the next manifest vouches for another one"
    site = Site(namespace=namespace, topic=topic, partition=partition, seq=seq)
    finding = next(Segment(manifest, prefix, site, store.get).check(), None)
    return "" if finding is None else f"{finding.kind}: {finding.detail}"


def spanned(store: ArchiveStore, namespace: str, topic: str, partition: int, offsets: tuple[int, int]) -> Iterator[int]:
    """Numbers of the segments that hold something of a range of offsets, both ends included."""
    chain = Chain(store, namespace, topic, partition)
    chain.restore()
    first, last = chain.find(offsets[0]), chain.find(offsets[1])
    if first is not None and last is not None:
        yield from range(first.seq, last.seq + 1)


def witnessed(store: ArchiveStore, ledger: LedgerSettings, namespace: str, size: int) -> bool:
    """Whether a kept checkpoint of at least this size has a quorum of cosignatures; true where none is asked for."""
    if not ledger.quorum:
        return True
    keys = [witness_key(name, each.vkey) for name, each in ledger.witnesses.items()]
    folder = f"{namespace}/anchor/{ledger.epoch}/"
    for name in reversed(store.folders(folder)):
        if not name.isdecimal() or int(name) < size:
            return False
        note = parse(store.get(f"{folder}{name}/checkpoint") or b"")
        if sum(any(key.verifies(note.text, each) for each in note.signatures) for key in keys) >= ledger.quorum:
            return True
    return False
