"""How long the writer waits."""

from __future__ import annotations

import pytest

from storage.index.pace import pause_s


@pytest.mark.parametrize(("busy", "longest_s"), [(True, 60.0), (False, 10.0)])
def test_pauses_double_up_to_their_ceiling_which_is_low_where_waiting_relieves_nobody(
    busy: bool,  # noqa: FBT001 - a parameter of a test
    longest_s: float,
) -> None:
    pauses = [pause_s(attempt, 1.0, busy=busy) for attempt in range(1, 100)]
    assert pauses[:5] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == longest_s
    assert pause_s(99, 0.25, busy=busy) == longest_s / 4
