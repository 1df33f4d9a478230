"""Joining the roles' accounts into one row per source: residue is what nobody accounts for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.accounting import Account, decode, encode, merge_latest
from streams.status import summarise
from streams.topics import CONFLICTS, DEAD_LETTERS, DETECTIONS, raw_topic

FORMAT = "aws.cloudtrail"
RAW = raw_topic(FORMAT)
SOURCE = f"prod|{FORMAT}|trail"


def account(role: str, topic: str = RAW, upto: int = 10, **outcomes: int) -> Account:
    found = Account(role, topic, 0)
    found.add(SOURCE, **outcomes)
    found.next_offset = upto
    return found


def settled() -> list[Account]:
    return [
        account("seal", received=100, sealed=100),
        account("index", received=100, created=80, conflict=15, dead_lettered=3, filtered=2),
        account("resolve", CONFLICTS, upto=1, replay=5, duplicate=9, equivocation=1),
        account("detect", received=100, evaluated=97, dead_lettered=3),
        account("alert", DETECTIONS, upto=2),
        account("seal", DEAD_LETTERS, upto=5, collect_refused=2, letters=3),
    ]


ENDS = {(RAW, 0): 10, (CONFLICTS, 0): 1, (DETECTIONS, 0): 2, (DEAD_LETTERS, 0): 5}


def test_a_settled_road_has_no_residue() -> None:
    status = summarise(settled(), ENDS, [FORMAT], None)
    row = next(s for s in status.sources if s.namespace == "prod")
    assert (row.received, row.indexed, row.duplicate, row.dead_lettered, row.filtered) == (102, 86, 9, 5, 2)
    assert row.received == row.indexed + row.duplicate + row.dead_lettered + row.filtered
    assert row.sealed == row.received
    assert status.equivocations == 1
    assert status.caught_up


def test_a_record_that_the_indexer_forgot_is_a_residue() -> None:
    accounts = settled()
    accounts[1] = account("index", received=100, created=79, conflict=15, dead_lettered=3, filtered=2)
    status = summarise(accounts, ENDS, [FORMAT], None)
    assert status.totals["residue"] == 1
    assert not status.caught_up


def test_a_record_that_the_sealer_forgot_is_a_residue() -> None:
    accounts = settled()
    accounts[0] = account("seal", received=99, sealed=99)
    assert summarise(accounts, ENDS, [FORMAT], None).totals["residue"] > 0


def test_messages_not_yet_read_are_lag() -> None:
    status = summarise(settled(), {**ENDS, (RAW, 0): 12}, [FORMAT], None)
    assert dict(status.lag) == {"seal": 2, "detect": 2, "index": 2}
    assert not status.caught_up


def test_another_namespace_is_left_out() -> None:
    assert summarise(settled(), ENDS, [FORMAT], "test").sources == []


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=40))
def test_any_replay_counts_each_message_once(passes: list[tuple[int, int]]) -> None:
    """Batches start anywhere at or below what is counted, as after a crash; each message holds one record."""
    counted = Account("index", RAW, 0)
    for start, length in passes:
        first = min(start, counted.next_offset)
        for offset in range(first, first + length):
            if counted.counts(offset):
                counted.add(SOURCE, received=1)
        counted.counted_to(first + length - 1)
    assert counted.sources.get(SOURCE, {}).get("received", 0) == counted.next_offset


def test_the_furthest_account_wins_whatever_the_order() -> None:
    old, new = account("index", upto=5, received=50), account("index", upto=9, received=90)
    for values in ([encode(old), encode(new)], [encode(new), encode(old)]):
        assert merge_latest(values)["index", RAW, 0].next_offset == 9


def test_an_account_survives_its_wire_form() -> None:
    before = account("index", received=3, created=2, duplicate=1)
    assert decode(encode(before)) == before
