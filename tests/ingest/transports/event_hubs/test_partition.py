"""Progress in a partition, for every order of acknowledgements."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.transports.event_hubs.partition import Partition
from ingest.transports.event_hubs.troubles import Refusals


@given(st.permutations(range(12)), st.integers(0, 12))
def test_what_is_reached_is_always_the_end_of_the_longest_run_of_acknowledged_events(
    order: list[int], count: int
) -> None:
    partition = Partition("0", last=99, saved=99)
    reaches = [partition.deliver(100 + number, str(number)) for number in range(12)]
    done: set[int] = set()
    for number in order[:count]:
        partition.settle(reaches[number])
        done.add(number)
        run = next((n for n in range(12) if n not in done), 12)
        assert (partition.reached.sequence if partition.reached else 99) == 99 + run
        assert (partition.unsaved is None) == (run == 0)


@given(st.lists(st.integers(0, 30), max_size=40))
def test_an_event_is_new_once_whatever_the_hub_repeats(given_: list[int]) -> None:
    partition = Partition("0")
    delivered = []
    for sequence in given_:
        if partition.is_new(sequence):
            partition.deliver(sequence, str(sequence))
            delivered.append(sequence)
    assert delivered == sorted(set(delivered))
    assert all(not partition.is_new(sequence) for sequence in given_)


def test_missing_events_are_counted_from_the_checkpoint_on_and_not_before_the_first() -> None:
    assert Partition("0").missing(700) == 0
    assert Partition("0", last=3).missing(4) == 0
    assert Partition("0", last=3).missing(9) == 5


def test_refusals_end_a_collector_only_as_a_run_at_one_place() -> None:
    refusals = Refusals(limit=3)
    assert [refusals.note("0", at) for at in (0.0, 1.0)] == [False, False]
    assert refusals.note("1", 2.0) is False
    assert refusals.note("0", 3.0) is True
    refusals.clear("0")
    assert refusals.note("0", 4.0) is False
    assert [refusals.note("2", at) for at in (0.0, 700.0, 1400.0, 2100.0)] == [False] * 4
