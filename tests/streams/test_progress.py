"""When a worker should end: its loop stands still, or it has lag, finishes nothing and gives no reason."""

from __future__ import annotations

from streams.progress import Progress

LIMIT_S = 10.0
LAG = {("t", 0): 3}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def passing(progress: Progress, clock: Clock, seconds: int, *, lag: dict[tuple[str, int], int]) -> None:
    """The event loop runs for a while."""
    for _ in range(seconds):
        clock.now += 1
        progress.looped(lag, assigned=True)


def test_a_worker_without_lag_is_never_stuck() -> None:
    clock = Clock()
    progress = Progress(clock)
    passing(progress, clock, 1000, lag={("t", 0): 0})
    assert progress.stuck(LIMIT_S) == ""


def test_an_event_loop_that_stands_still_is_noticed_even_without_lag() -> None:
    clock = Clock()
    progress = Progress(clock)
    passing(progress, clock, 3, lag={})
    clock.now += 11
    assert "event loop" in progress.stuck(LIMIT_S)


def test_lag_without_an_end_and_without_a_reason_is_noticed() -> None:
    clock = Clock()
    progress = Progress(clock)
    passing(progress, clock, 10, lag=LAG)
    assert progress.stuck(LIMIT_S) == ""
    passing(progress, clock, 1, lag=LAG)
    assert "lag of 3 messages" in progress.stuck(LIMIT_S)


def test_a_stated_reason_holds_as_long_as_it_is_stated_again() -> None:
    clock = Clock()
    progress = Progress(clock)
    for _ in range(5):
        progress.waiting("Elasticsearch is away")
        passing(progress, clock, 9, lag=LAG)
        assert progress.stuck(LIMIT_S) == ""
    passing(progress, clock, 2, lag=LAG)
    assert "nothing finished" in progress.stuck(LIMIT_S)


def test_a_finished_batch_starts_the_time_anew_and_clears_the_reason() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.waiting("Elasticsearch is away")
    passing(progress, clock, 9, lag=LAG)
    progress.done()
    assert progress.waiting_for == ""
    passing(progress, clock, 9, lag=LAG)
    assert progress.stuck(LIMIT_S) == ""


def test_a_failure_gives_the_worker_time_to_end_by_itself_and_the_first_reason_counts() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.fail("first")
    progress.fail("second")
    passing(progress, clock, 9, lag=LAG)
    assert progress.stuck(LIMIT_S) == ""
    passing(progress, clock, 2, lag=LAG)
    assert progress.stuck(LIMIT_S).startswith("first")


def test_nobody_watches_a_worker_that_has_ended() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.fail("gone")
    progress.retired = True
    clock.now += 1000
    assert progress.stuck(LIMIT_S) == ""
