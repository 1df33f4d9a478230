"""What is written down of rule sets is exact: every counted message lies in the run that really evaluated it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.proving import no_file
from detectors.rulebook import Rulebook, load
from detectors.sigma.engine import InterpretedEngine
from ingest.schema.envelope import encode, pack
from ingest.schema.errors import UnsupportedEnvelope
from storage.settings import ElasticsearchSettings
from streams import rulesets
from streams.accounting import Account, Run
from streams.agents.detect import DetectAgent, Rules
from streams.evaluations import Seen, decode_runs, encode_run, history, seen_by
from streams.naming import namer
from streams.preparing import Limits
from streams.rulesets import RuleSet
from streams.seen import Ledger, since, topics_of
from streams.topics import EVALUATIONS, RULESETS, raw_topic
from tests.faults.material import CLOUDTRAIL, header
from tests.streams.fakes import PARTITIONS, Brokers, Faults, Killed, accounts_on, runtime_on

RAW = raw_topic(CLOUDTRAIL)
ENGINE = InterpretedEngine(())
RULE = """
title: {title}
name: {name}
id: 00000000-0000-4000-8000-00000000000{number}
level: high
logsource:
  product: aws
  service: cloudtrail
detection:
  selection:
    eventName: {event}
  condition: selection
"""


def book_of(folder: Path, **events: str) -> Rulebook:
    """A rulebook: name of a rule → the event that it looks for."""
    folder.mkdir()
    for number, (name, event) in enumerate(events.items()):
        text = RULE.format(title=name.title(), name=name, number=number, event=event)
        (folder / f"{name}.yml").write_text(text)
    return load([folder], prove=no_file)


def agent_on(brokers: Brokers, version: str) -> DetectAgent:
    content = [(f"{version}|0|1".encode(), version.encode())]
    return DetectAgent(
        runtime_on("detect", brokers),
        accounts_on("detect", brokers),
        Rules(ENGINE, version, content=content),
        namer=namer(ElasticsearchSettings()),
        limits=Limits.of(24, 3660),
    )


async def live(brokers: Brokers, versions: list[str], size: int) -> dict[tuple[int, int], str]:
    """Lives of the role with one rule set each, until all is done; who counted each message."""
    counted: dict[tuple[int, int], str] = {}
    number = 0
    while True:
        version = versions[number % len(versions)]
        number += 1
        done = False
        try:
            agent = agent_on(brokers, version)
            for batch in brokers.batches("detect", RAW, size):
                await agent.handle(batch)
            done = True
        except Killed:
            brokers.faults.reborn()
        for account in brokers.accounts():
            for offset in range(account.next_offset):
                counted.setdefault((account.partition, offset), version)
        if done:
            return counted


@settings(max_examples=60, deadline=None)
@given(
    places=st.lists(st.integers(0, PARTITIONS - 1), min_size=1, max_size=10),
    lives=st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["lost", "applied"])), max_size=8),
    versions=st.lists(st.sampled_from(["v1", "v2", "v3"]), min_size=1, max_size=8),
    size=st.integers(1, 4),
)
def test_every_message_lies_in_the_run_that_counted_it_wherever_the_role_dies(
    places: list[int], lives: list[tuple[int, Literal["lost", "applied"]]], versions: list[str], size: int
) -> None:
    brokers = Brokers(Faults(list(lives)))
    for number, partition in enumerate(places):
        brokers.append(RAW, (None, encode(pack(header("unit", CLOUDTRAIL), [b'{"n":%d}' % number])[0]), partition))
    counted = asyncio.run(live(brokers, versions, size))
    runs = decode_runs(brokers.values(EVALUATIONS))
    found = {}
    for account in brokers.accounts():
        linked = history(account, runs)
        ends = [*(run.first_offset for run in linked[1:]), account.next_offset]
        for run, end in zip(linked, ends, strict=True):
            found |= {(account.partition, offset): run.version for offset in range(run.first_offset, end)}
    assert found == counted
    assert {value.decode() for value in brokers.values(RULESETS)} >= set(counted.values())


def test_nothing_is_written_while_the_rule_set_stays() -> None:
    brokers = Brokers()
    rng = random.Random(1)
    for number in range(12):
        message = encode(pack(header("unit", CLOUDTRAIL), [b'{"n":%d}' % number])[0])
        brokers.append(RAW, (None, message, rng.randrange(PARTITIONS)))
    for _ in range(2):  # another worker, the same rules
        asyncio.run(live(brokers, ["v1"], 2))
        assert len(brokers.values(EVALUATIONS)) == PARTITIONS
        assert brokers.values(RULESETS) == [b"v1"]


def accounted(next_offset: int, *runs: tuple[int, str]) -> tuple[Account, list[bytes]]:
    """An account of partition 0 and what lies in the topic."""
    account = Account("detect", RAW, 0)
    values = []
    for number, (first, version) in enumerate(runs):
        previous = account.run.first_offset if account.run else None
        account.run = Run(first, version, f"2026-11-2{number}T00:00:00+00:00", previous)
        values.append(encode_run(account)[1])
    account.next_offset = next_offset
    return account, values


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[RuleSet, RuleSet]:
    """One without, one with the rule `late`."""
    folder = tmp_path_factory.mktemp("rules")
    books = (book_of(folder / "1", early="StopLogging"), book_of(folder / "2", early="StopLogging", late="DeleteTrail"))
    return rulesets.of_book(books[0]), rulesets.of_book(books[1])


def test_a_rule_saw_what_rule_sets_with_it_evaluated(sets: tuple[RuleSet, RuleSet]) -> None:
    first, second = sets
    known = {each.version: each for each in sets}
    account, values = accounted(40, (5, first.version), (20, second.version), (30, "lost"), (35, second.version))
    parts = seen_by("late", account, decode_runs(values), known, (0, 50))
    assert [(p.seen, p.first_offset, p.last_offset, p.version) for p in parts] == [
        ("unknown", 0, 4, ""),
        ("no", 5, 19, first.version),
        ("yes", 20, 29, second.version),
        ("unknown", 30, 34, "lost"),
        ("yes", 35, 39, second.version),
        ("not yet", 40, 49, ""),
    ]
    entry = second.find("00000000-0000-4000-8000-000000000001")
    assert entry is not None
    assert (entry.id, parts[2].digest) == ("late", entry.digest)
    assert [
        (p.seen, p.first_offset, p.last_offset) for p in seen_by("late", account, decode_runs(values), known, (22, 25))
    ] == [("yes", 22, 24)]
    assert since(parts) == "2026-11-23T00:00:00+00:00"
    assert since([*parts, Seen(RAW, 1, 0, 9, "no")]) is None
    assert since([]) is None


def test_a_partition_that_nobody_evaluated_is_not_yet_seen(sets: tuple[RuleSet, RuleSet]) -> None:
    ledger = Ledger({}, {}, {each.version: each for each in sets})
    assert ledger.seen("late", {(RAW, 1): (0, 7)}) == [Seen(RAW, 1, 0, 6, "not yet")]
    assert topics_of(ledger.log_sources("late")) == [RAW]
    assert ledger.log_sources("other") == []


def test_a_rule_set_comes_back_whole_with_its_texts(
    sets: tuple[RuleSet, RuleSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rulesets, "CHUNK_BYTES", 100)
    packed = [rulesets.pack(each) for each in sets]
    assert all(len(each) > 2 for each in packed)
    mixed = [*packed[1], *packed[0], *packed[1]]
    assert rulesets.unpack(mixed) == {each.version: each for each in sets}
    assert rulesets.unpack([*packed[0], *packed[1][:-1]]) == {sets[0].version: sets[0]}
    entry = sets[1].find("late")
    assert entry is not None
    assert "DeleteTrail" in sets[1].files[entry.file]


def test_correlations_are_about_what_their_rules_are_about() -> None:
    ruleset = rulesets.of_book(load(prove=no_file))
    correlations = [each for each in ruleset.rules if each.kind == "correlation"]
    assert correlations
    assert all(each.sources for each in correlations)
    assert all(each.file in ruleset.files for each in ruleset.rules)


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x93\x01\x02\x03"])
def test_what_is_no_run_or_rule_set_is_refused(value: bytes) -> None:
    with pytest.raises(UnsupportedEnvelope):
        decode_runs([value])
    with pytest.raises(UnsupportedEnvelope):
        rulesets.unpack([(b"v|0|1", value)])
