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


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=6))
def test_an_event_is_delivered_once_and_in_consecutive_runs_whatever_the_hub_repeats(lists: list[list[int]]) -> None:
    partition = Partition("0")
    delivered: list[int] = []
    for sequences in lists:
        for places in partition.new_runs(sequences):
            run = [sequences[place] for place in places]
            assert run == list(range(run[0], run[0] + len(run)))
            partition.deliver(run[-1], str(run[-1]))
            delivered.extend(run)
        assert partition.new_runs(sequences) == []
    assert delivered == sorted(set(delivered))


def test_events_around_a_gap_are_runs_of_their_own() -> None:
    assert Partition("0", last=4).new_runs([3, 4, 5, 6, 6, 9, 10]) == [[2, 3], [5, 6]]


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
