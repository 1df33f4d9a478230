"""The seal role dies at any step, again and again: the archive holds every record once per offset."""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
from collections import Counter
from pathlib import Path
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.schema import dead_letter
from ingest.schema.envelope import encode, pack
from ingest.schema.errors import StoreUnavailable
from storage.archive.contents import of_envelope, of_letter
from storage.archive.reader import ArchiveReader
from storage.archive.sealer import PartitionSealer
from storage.archive.store import ArchiveStore
from storage.archive.stores.filesystem import FilesystemStore
from storage.settings import ArchiveSettings
from storage.verify.archive import check
from streams.agents.seal import SealAgent
from streams.status import summarise
from streams.topics import DEAD_LETTERS, raw_topic
from tests.faults.material import CLOUDTRAIL, header
from tests.storage.archive.faults import FaultyStore
from tests.streams.fakes import PARTITIONS, Brokers, Faults, Killed, accounts_on, runtime_on
from tests.streams.letters import body_letter, poison_letter, record_letter

RAW = raw_topic(CLOUDTRAIL)
LIVES = st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["lost", "applied"])), max_size=4)
STREAMS = st.lists(
    st.tuples(
        st.integers(0, PARTITIONS - 1), st.sampled_from(["acme", "beta"]), st.lists(st.binary(max_size=8), max_size=3)
    ),
    min_size=1,
    max_size=8,
)


async def seal_life(brokers: Brokers, store: ArchiveStore, topic: str, size: int) -> None:
    def open_sealer(name: str, partition: int) -> PartitionSealer:
        records_of = of_letter if name == DEAD_LETTERS else of_envelope
        now = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
        return PartitionSealer(store, name, partition, ArchiveSettings(), lambda: now, records_of=records_of)

    agent = SealAgent(runtime_on("seal", brokers), accounts_on("seal", brokers), open_sealer)
    for batch in brokers.batches("seal", topic, size):
        await agent.handle(batch)


@settings(max_examples=30, deadline=None)
@given(stream=STREAMS, lives=LIVES, size=st.integers(1, 5))
def test_every_record_is_sealed_once_wherever_the_role_dies(
    stream: list[tuple[int, str, list[bytes]]], lives: list[tuple[int, Literal["lost", "applied"]]], size: int
) -> None:
    brokers = Brokers(Faults(list(lives)))
    for partition, namespace, records in stream:
        envelopes = pack(header(namespace, CLOUDTRAIL), records)
        brokers.append(RAW, (None, encode(envelopes[0]) if envelopes else b"", partition))
    with tempfile.TemporaryDirectory() as directory:
        store = FilesystemStore(Path(directory), fsync=lambda _: None)

        async def until_done() -> None:
            while True:
                try:
                    await seal_life(brokers, store, RAW, size)
                except Killed:
                    brokers.faults.reborn()
                else:
                    return

        asyncio.run(until_done())
        assert list(check(Path(directory))) == []
        reader = ArchiveReader(store)
        found = Counter(
            (record.position.partition, record.position.offset, record.position.index, record.body)
            for namespace in reader.namespaces()
            for record in reader.records(namespace)
        )
    expected: Counter[tuple[int, int, int, bytes]] = Counter()
    for (_, partition), log in brokers.topics.items():
        if (RAW, partition) in brokers.topics and _ == RAW:
            for offset, (_, value) in enumerate(log):
                expected.update((partition, offset, i, body) for i, body in enumerate(of_envelope(value).records))
    assert found == expected
    rows = summarise(brokers.accounts(), {}, [CLOUDTRAIL], None).sources
    assert sum(row.received for row in rows) == sum(row.sealed for row in rows) == expected.total()


async def test_letters_of_collectors_count_as_received_and_those_of_roles_do_not(tmp_path: Path) -> None:
    brokers = Brokers()
    for letter in (body_letter(b"{"), record_letter(1), poison_letter()):
        brokers.append(DEAD_LETTERS, (None, dead_letter.encode(letter), 0))
    brokers.append(DEAD_LETTERS, (None, b"no letter", 0))
    await seal_life(brokers, FilesystemStore(tmp_path), DEAD_LETTERS, 3)
    rows = {row.namespace: row for row in summarise(brokers.accounts(), {}, [CLOUDTRAIL], None).sources}
    assert (rows["acme"].received, rows["acme"].dead_lettered, rows["acme"].sealed) == (1, 1, 1)
    assert rows["unreadable"].received == 0
    assert list(check(tmp_path)) == []


async def test_a_store_that_is_away_is_named_and_waited_for(tmp_path: Path) -> None:
    brokers = Brokers()
    brokers.append(RAW, (None, encode(pack(header("acme", CLOUDTRAIL), [b"{}"])[0]), 0))
    store = FaultyStore(FilesystemStore(tmp_path), 2, "lost", StoreUnavailable)
    await seal_life(brokers, store, RAW, 3)
    assert brokers.committed == {("seal", RAW, 0): 1}
    assert list(check(tmp_path)) == []
