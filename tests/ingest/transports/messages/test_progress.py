"""What may be noted of a partition: never beyond a body that is not acknowledged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.transports.messages.progress import Progress


@given(st.permutations(range(6)))
def test_the_committed_offset_is_the_first_that_is_not_acknowledged(order: list[int]) -> None:
    progress = Progress[int]()
    reaches = [progress.deliver(10 * (number + 1)) for number in range(6)]
    done: set[int] = set()
    committed = 0
    for number in order:
        done.add(number)
        contiguous = next((n for n in range(6) if n not in done), 6)
        found = progress.settle(reaches[number])
        committed = committed if found is None else found
        assert committed == 10 * contiguous
        assert progress.unsettled == 6 - len(done)
