"""The index role dies at any step, again and again: documents, accounts and alerts come out as if it never had."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Sequence
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.detection import decode
from ingest.schema import dead_letter
from ingest.schema.envelope import Envelope, encode, pack
from storage.retention.stamping import Stamps
from storage.settings import ElasticsearchSettings
from streams.agents.index import IndexAgent
from streams.agents.resolve import ResolveAgent
from streams.keep_out import nothing
from streams.naming import namer
from streams.preparing import Limits
from streams.stamping import DocumentStamps
from streams.status import SourceStatus, summarise
from streams.topics import CONFLICTS, DEAD_LETTERS, DETECTIONS, raw_topic
from tests.faults.material import CLOUDTRAIL, cloudtrail, header, rewritten
from tests.streams.adopted import Adopted
from tests.streams.fakes import PARTITIONS, Brokers, Faults, Index, Killed, accounts_on, runtime_on

NOW = dt.datetime.now(dt.UTC)
RECORDS = cloudtrail(random.Random(11), 12, NOW)
FORGED = [rewritten(record) for record in RECORDS]
LIMITS = Limits.of(24, 3660)
RAW = raw_topic(CLOUDTRAIL)
LIVES = st.lists(st.tuples(st.integers(0, 25), st.sampled_from(["lost", "applied"])), max_size=5)
STREAMS = st.lists(
    st.tuples(
        st.integers(0, PARTITIONS - 1),
        st.lists(st.sampled_from([*RECORDS[:6], *FORGED[:3]]), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=8,
)


UNSTAMPED = DocumentStamps()


def envelope(records: Sequence[bytes]) -> Envelope:
    return pack(header("unit", CLOUDTRAIL), records)[0]


async def index_life(brokers: Brokers, index: Index, size: int, stamps: DocumentStamps = UNSTAMPED) -> None:
    runtime = runtime_on("index", brokers)
    agent = IndexAgent(
        runtime,
        accounts_on("index", brokers),
        index,
        namer=namer(ElasticsearchSettings()),
        limits=LIMITS,
        keep_out=nothing,
        stamps=stamps,
    )
    for batch in brokers.batches("index", RAW, size):
        await agent.handle(batch)
    if agent._pending:
        await agent._pending


async def resolve_life(brokers: Brokers, index: Index, size: int, stamps: DocumentStamps = UNSTAMPED) -> None:
    agent = ResolveAgent(
        runtime_on("index", brokers),
        accounts_on("resolve", brokers),
        compare=index.compare,
        fetch=brokers.fetch,
        writer=index,
        namer=namer(ElasticsearchSettings()),
        limits=LIMITS,
        stamps=stamps,
    )
    for batch in brokers.batches("resolve", CONFLICTS, size):
        await agent.handle(batch)


async def until_done(brokers: Brokers, index: Index, size: int) -> None:
    """One life after the other, each ended where the faults say, until nothing is left to do."""
    while True:
        try:
            await index_life(brokers, index, size)
            await resolve_life(brokers, index, size)
        except Killed:
            brokers.faults.reborn()
        else:
            return


def row_of(brokers: Brokers) -> SourceStatus:
    (row,) = summarise(brokers.accounts(), {}, [CLOUDTRAIL], "unit").sources
    return row


def run(stream: list[tuple[int, list[bytes]]], lives: list[tuple[int, Literal["lost", "applied"]]], size: int) -> None:
    brokers = Brokers(Faults(list(lives)))
    index = Index(brokers.faults)
    for partition, records in stream:
        brokers.append(RAW, (None, encode(envelope(records)), partition))
    asyncio.run(until_done(brokers, index, size))
    received = [record for _, records in stream for record in records]
    versions = set(received)
    rewritings = len(versions) - len({record.split(b'"eventID":')[1][:38] for record in versions})
    assert sorted(d["event"]["original"].encode() for d in index.documents.values()) == sorted(versions)
    row = row_of(brokers)
    assert (row.indexed, row.duplicate) == (len(versions), len(received) - len(versions))
    assert row.dead_lettered == 0
    members = {detection.member for value in brokers.values(DETECTIONS) for detection in decode(value)}
    assert len(members) == rewritings
    status = summarise(brokers.accounts(), {}, [CLOUDTRAIL], None)
    assert status.equivocations == rewritings


@settings(max_examples=60, deadline=None)
@given(stream=STREAMS, lives=LIVES, size=st.integers(1, 4))
def test_counts_and_documents_are_exact_wherever_the_role_dies(
    stream: list[tuple[int, list[bytes]]], lives: list[tuple[int, Literal["lost", "applied"]]], size: int
) -> None:
    run(stream, lives, size)


def test_conflicts_that_were_told_twice_are_counted_once() -> None:
    """The index worker dies after it told of conflicts and before it saved its account; its successor tells again."""
    stream = [(0, RECORDS[:4]), (0, RECORDS[:2]), (0, RECORDS[2:6])]
    for at in range(24):
        run(stream, [(at, "applied"), (at, "lost")], 3)


def test_a_rewriting_whose_writer_died_before_telling_is_told_after_all() -> None:
    for at in range(16):
        run([(0, RECORDS[:1]), (1, FORGED[:1])], [(at, "applied")], 1)


async def test_a_second_version_that_is_refused_becomes_a_dead_letter_and_is_counted_as_one() -> None:
    brokers = Brokers()
    index = Index(brokers.faults)
    brokers.append(RAW, (None, encode(envelope(RECORDS[:1])), 0))
    await until_done(brokers, index, 1)
    index.refuses = _every_other_id()
    brokers.append(RAW, (None, encode(envelope(FORGED[:1])), 0))
    await until_done(brokers, index, 1)
    row = row_of(brokers)
    assert (row.indexed, row.duplicate, row.dead_lettered, row.residue["index"]) == (1, 0, 1, 0)
    (letter,) = map(dead_letter.decode, brokers.values(DEAD_LETTERS))
    assert letter.body == FORGED[0]
    assert letter.header is not None


async def test_documents_of_both_agents_carry_the_stamp_of_the_policy() -> None:
    brokers, stamps = Brokers(), DocumentStamps(Stamps(Adopted()))  # type: ignore[arg-type]
    index = Index(brokers.faults)
    brokers.append(RAW, (None, encode(envelope(RECORDS[:2])), 0))
    brokers.append(RAW, (None, encode(envelope(FORGED[:1])), 0))
    await index_life(brokers, index, 1, stamps)
    await resolve_life(brokers, index, 1, stamps)
    assert len(index.documents) == 3
    told = [document["skytrail"]["retention"] for document in index.documents.values()]
    assert {(each["class"], each["retain_until"] == each["hot_until"]) for each in told} == {("everything", True)}


class _every_other_id(set[str]):  # noqa: N801 - reads as a value
    """Holds every id: only what is written already stays."""

    def __contains__(self, _: object) -> bool:
        return True
