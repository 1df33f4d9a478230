"""Accounts under arbitrary replays: whatever is delivered again, each message counts once, in its latest telling."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.errors import UnsupportedEnvelope
from streams.accounting import KEPT_PASSES, Account, decode, encode, merge_latest, source_key
from tests.faults.material import header

OUTCOMES = st.fixed_dictionaries({"created": st.integers(0, 5), "conflict": st.integers(0, 5)})


@given(messages=st.lists(OUTCOMES, min_size=1, max_size=20), rewinds=st.lists(st.integers(0, 19), max_size=6))
def test_a_message_counts_once_however_often_it_is_replayed(messages: list[dict[str, int]], rewinds: list[int]) -> None:
    account = Account("index", "t", 0)
    saved = encode(account)
    for start in [0, *(at % len(messages) for at in rewinds), 0]:
        account = decode(saved)
        for offset in range(min(start, account.next_offset), len(messages)):
            if account.counts(offset):
                account.add("s", **messages[offset])
            account.counted_to(offset)
        saved = encode(account)
    expected: Counter[str] = Counter()
    for message in messages:
        expected.update(message)
    assert Counter(decode(saved).sources.get("s", {})) == +expected


@given(st.lists(st.tuples(st.integers(0, 9), OUTCOMES), max_size=30))
def test_only_the_latest_telling_of_a_raw_message_counts(tellings: list[tuple[int, dict[str, int]]]) -> None:
    account = Account("resolve", "c", 0)
    for offset, outcomes in tellings:
        account.recount("raw|0", offset, {"s": outcomes})
        account = decode(encode(account))
    latest: Counter[str] = Counter()
    for outcomes in dict(tellings).values():
        latest.update(outcomes)
    assert +Counter(account.sources.get("s", {})) == +latest


def test_tellings_of_different_partitions_do_not_replace_each_other() -> None:
    account = Account("resolve", "c", 0)
    account.recount("raw|0", 3, {"s": {"replay": 2}})
    account.recount("raw|1", 3, {"s": {"replay": 5}})
    assert account.sources == {"s": {"replay": 7}}


def test_an_account_remembers_no_more_tellings_than_a_batch_can_repeat() -> None:
    account = Account("resolve", "c", 0)
    for offset in range(1000):
        account.recount("raw|0", offset, {"s": {"replay": 1}})
    assert account.sources == {"s": {"replay": 1000}}
    assert len(account.passes["raw|0"]) == KEPT_PASSES


@given(st.permutations(range(1, 6)))
def test_the_account_that_counted_furthest_wins_in_any_order(order: list[int]) -> None:
    accounts = []
    for upto in order:
        account = Account("seal", "t", 0, next_offset=upto)
        account.add("s", received=upto)
        accounts.append(encode(account))
    assert merge_latest(accounts)["seal", "t", 0].sources == {"s": {"received": 5}}


def test_garbage_is_refused_by_name() -> None:
    rng = random.Random(1)
    for size in range(40):
        with pytest.raises(UnsupportedEnvelope, match="decoding account"):
            decode(b"\xc1" + rng.randbytes(size))


def test_a_source_has_three_parts_whatever_its_format_is_called() -> None:
    assert source_key(header("acme", "a|b")).split("|") == ["acme", "a_b", "faults"]
    assert source_key(None).split("|") == ["unreadable"] * 3
