"""The seal role dies at any step, again and again: the archive holds every record once per offset."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
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
from storage.ledger.notary import Notary, told_settings
from storage.settings import ArchiveSettings, LedgerSettings
from storage.verify.archive import check
from streams.agents.seal import SealAgent
from streams.runtime import Runtime
from streams.status import summarise
from streams.topics import DEAD_LETTERS, raw_topic
from tests.faults.material import CLOUDTRAIL, header
from tests.storage.archive.faults import FaultyStore
from tests.storage.ledger.oracle import ledgers_tell_of_every_segment
from tests.storage.ledger.samples import keys_in
from tests.streams.fakes import PARTITIONS, Brokers, Faults, Killed, MortalStore, accounts_on, runtime_on
from tests.streams.letters import body_letter, poison_letter, record_letter

RAW = raw_topic(CLOUDTRAIL)
NOW = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
KEYS = Path(tempfile.mkdtemp(prefix="skytrail-test-seal-"))
LIVES = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["lost", "applied"])), max_size=4)
STREAMS = st.lists(
    st.tuples(
        st.integers(0, PARTITIONS - 1), st.sampled_from(["acme", "beta"]), st.lists(st.binary(max_size=8), max_size=3)
    ),
    min_size=1,
    max_size=8,
)


def agent_on(
    brokers: Brokers, inner: ArchiveStore, clock: Callable[[], dt.datetime], runtime: Runtime | None = None
) -> SealAgent:
    store = MortalStore(inner, brokers.faults)

    def open_sealer(name: str, partition: int) -> PartitionSealer:
        records_of = of_letter if name == DEAD_LETTERS else of_envelope
        return PartitionSealer(store, name, partition, ArchiveSettings(), clock, records_of=records_of)

    ledger, told = LedgerSettings(), told_settings(LedgerSettings(), ArchiveSettings())
    notary = Notary(store, keys_in(KEYS), ledger, told, clock)
    return SealAgent(runtime or runtime_on("seal", brokers), accounts_on("seal", brokers), open_sealer, notary)


async def seal_life(brokers: Brokers, store: ArchiveStore, topic: str, size: int) -> None:
    agent = agent_on(brokers, store, lambda: NOW)
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
        store = FilesystemStore(Path(directory), allow_delete=True, fsync=lambda _: None)

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
        ledgers_tell_of_every_segment(Path(directory))
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


def sealed_after_one_death(directory: Path, at: int, fault: Literal["lost", "applied"]) -> int:
    """Seal two batches of two namespaces; the role dies at one effect and starts anew. How many effects there were."""
    brokers = Brokers(Faults([(at, fault)] if at >= 0 else []))
    for number in range(4):
        records = [b"%d" % number, b"x" * number]
        envelope = pack(header("acme" if number % 2 else "beta", CLOUDTRAIL), records)[0]
        brokers.append(RAW, (None, encode(envelope), number // 2 % PARTITIONS))
    store = FilesystemStore(directory, allow_delete=True, fsync=lambda _: None)
    with contextlib.suppress(Killed):
        asyncio.run(seal_life(brokers, store, RAW, 2))
    effects = brokers.faults.effects
    brokers.faults.reborn()
    asyncio.run(seal_life(brokers, store, RAW, 2))
    assert list(check(directory)) == []
    ledgers = ledgers_tell_of_every_segment(directory)
    assert {name: [entry["type"] for entry in entries[:2]] for name, entries in ledgers.items()} == {
        "acme": ["keychange", "config"],
        "beta": ["keychange", "config"],
    }
    reader = ArchiveReader(store)
    assert len({r.position for name in ledgers for r in reader.records(name)}) == 8
    assert sum(1 for name in ledgers for _ in reader.records(name)) == 8
    return effects


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_the_ledger_has_every_segment_once_whichever_effect_the_role_dies_at(
    tmp_path: Path, fault: Literal["lost", "applied"]
) -> None:
    effects = sealed_after_one_death(tmp_path / "whole", -1, fault)
    assert effects >= 50
    for at in range(effects):
        sealed_after_one_death(tmp_path / str(at), at, fault)


async def test_idle_partitions_are_told_of_by_whoever_has_them(tmp_path: Path) -> None:
    brokers = Brokers()
    brokers.append(RAW, (None, encode(pack(header("acme", CLOUDTRAIL), [b"{}"])[0]), 0))
    store = FilesystemStore(tmp_path, allow_delete=True)
    await seal_life(brokers, store, RAW, 3)
    now = NOW
    agent = agent_on(brokers, store, lambda: now)
    assert await agent.beat([(RAW, 0), (RAW, 1)]) == 0
    now += dt.timedelta(seconds=61)
    assert await agent.beat([(RAW, 1)]) == 0
    assert await agent.beat([(RAW, 0), (RAW, 1)]) == 1
    assert [e["type"] for e in ledgers_tell_of_every_segment(tmp_path)["acme"]][2:] == ["segment", "heartbeat"]


async def test_a_worker_with_nothing_to_seal_enters_what_a_killed_one_left_out(tmp_path: Path) -> None:
    brokers = Brokers()
    brokers.append(RAW, (None, encode(pack(header("acme", CLOUDTRAIL), [b"{}"])[0]), 0))
    store = FilesystemStore(tmp_path, allow_delete=True)
    sealer = PartitionSealer(store, RAW, 0, ArchiveSettings(), lambda: NOW, records_of=of_envelope)
    sealer.add(0, brokers.topics[RAW, 0][0][1])
    sealer.seal()
    await agent_on(brokers, store, lambda: NOW).beat([(RAW, 0)])
    assert [e["type"] for e in ledgers_tell_of_every_segment(tmp_path)["acme"]][2:] == ["segment"]


async def test_the_open_window_and_the_age_of_the_ledger_are_told(tmp_path: Path) -> None:
    brokers = Brokers()
    brokers.append(RAW, (None, encode(pack(header("acme", CLOUDTRAIL), [b"{}"])[0]), 0))
    runtime = runtime_on("seal", brokers)
    agent = agent_on(brokers, FilesystemStore(tmp_path, allow_delete=True), lambda: NOW, runtime)
    for batch in brokers.batches("seal", RAW, 3):
        await agent.handle(batch)
    told = runtime.telemetry.registry.get_sample_value
    assert told("skytrail_ledger_entries", {"namespace": "acme"}) == 3
    age = time.time() - (told("skytrail_ledger_checkpoint_timestamp_seconds", {"namespace": "acme"}) or 0)
    assert 0 <= age < 60
    assert told("skytrail_ledger_open_window_seconds_count", {"namespace": "acme"}) == 1
    assert 0 <= (told("skytrail_ledger_open_window_seconds_sum", {"namespace": "acme"}) or -1) < 60


async def test_letters_of_collectors_count_as_received_and_those_of_roles_do_not(tmp_path: Path) -> None:
    brokers = Brokers()
    for letter in (body_letter(b"{"), record_letter(1), poison_letter()):
        brokers.append(DEAD_LETTERS, (None, dead_letter.encode(letter), 0))
    brokers.append(DEAD_LETTERS, (None, b"no letter", 0))
    await seal_life(brokers, FilesystemStore(tmp_path, allow_delete=True), DEAD_LETTERS, 3)
    rows = {row.namespace: row for row in summarise(brokers.accounts(), {}, [CLOUDTRAIL], None).sources}
    assert (rows["acme"].received, rows["acme"].dead_lettered, rows["acme"].sealed) == (1, 1, 1)
    assert rows["unreadable"].received == 0
    assert list(check(tmp_path)) == []


async def test_a_store_that_is_away_is_named_and_waited_for(tmp_path: Path) -> None:
    brokers = Brokers()
    brokers.append(RAW, (None, encode(pack(header("acme", CLOUDTRAIL), [b"{}"])[0]), 0))
    store = FaultyStore(FilesystemStore(tmp_path, allow_delete=True), 2, "lost", StoreUnavailable)
    await seal_life(brokers, store, RAW, 3)
    assert brokers.committed == {("seal", RAW, 0): 1}
    assert list(check(tmp_path)) == []
